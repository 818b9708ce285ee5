"""The files of docs/data-in-the-wild.md: for each row, what is done to two sound subsets."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from any_files import deep
from data_files import noise, png, write_parquet
from PIL import Image

PIXELS = noise(40, 8, 8, 3)
CASES = {}  # by kind of files and the row's first cell


def case(kind, what):
    """Keep what makes the files of a row."""

    def keep(make):
        CASES[kind, what] = make
        return make

    return keep


def image(root, place, number=30, kind="PNG"):
    """One image in the folder of birds."""
    path = root / "birds" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(PIXELS[number], kind))
    return path


def content(root, data, name="train/crow/1.png"):
    """A file of some bytes in the folder of birds."""
    image(root, name).write_bytes(data)


def saved(root, picture, name="train/crow/x.png", **how):
    """A picture in the folder of birds."""
    picture.save(image(root, name), **how)


def table(root, labels, subset="train", images=None, **columns):
    """A file of birds; images and further columns as given."""
    files = pa.array([png(PIXELS[k]) for k in range(len(labels))]) if images is None else images
    found = pa.table({"image": files, "label": labels, **columns})
    pq.write_table(found, root / f"birds-{subset}.parquet")


def base(root: Path, kind: str) -> None:
    """Two classes in both subsets."""
    if kind == "parquet":
        write_parquet(root / "birds-train.parquet", PIXELS[:4], [0, 1, 0, 1])
        write_parquet(root / "birds-test.parquet", PIXELS[4:8], [0, 1, 0, 1])
        return
    for number in range(8):
        place = f"{('train', 'test')[number // 4]}/{('crow', 'owl')[number % 2]}/{number}.png"
        image(root, place, number)


@case("folders", "`.jpeg`, `.jpg`, `.png`, `.webp`, `.bmp`, in any case")
def _(root):
    for number, kind in enumerate(["JPEG", "PNG", "WEBP", "BMP"], 10):
        image(root, f"train/crow/{number}.{kind}", number, kind)
    image(root, "train/crow/x.jpg", 20, "PNG")


@case("folders", "grey, palette, transparent and CMYK images")
def _(root):
    for number, mode in enumerate(["L", "P", "RGBA", "CMYK"], 10):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        picture = Image.fromarray(PIXELS[number]).convert(mode)
        saved(root, picture, f"train/crow/{mode}.png", format=kind)


@case("folders", "images of any size")
def _(root):
    saved(root, Image.new("RGB", (3, 200)))


@case("folders", "a photograph with an EXIF orientation")
def _(root):
    exif = Image.Exif()
    exif[0x0112] = 3
    saved(root, Image.fromarray(PIXELS[20]), exif=exif, format="JPEG")


@case("folders", "`validation` (or `val`, `valid`) in place of `test`")
def _(root):
    (root / "birds" / "test").rename(root / "birds" / "validation")


@case("folders", "`Train` and `Testing` in place of `train` and `test`")
def _(root):
    (root / "birds" / "train").rename(root / "birds" / "Train")
    (root / "birds" / "test").rename(root / "birds" / "Testing")


@case("folders", "`val` beside `test`")
def _(root):
    shutil.copytree(root / "birds" / "test", root / "birds" / "val")


@case("folders", "class folders `0` to `10`")
def _(root):
    shutil.rmtree(root / "birds")
    for number in range(11):
        image(root, f"train/{number}/0.png", number)
        image(root, f"test/{number}/0.png", number + 20)


@case("folders", "class folders `1` and `2`")
def _(root):
    for subset in ("train", "test"):
        for number, name in enumerate(("crow", "owl"), 1):
            (root / "birds" / subset / name).rename(root / "birds" / subset / str(number))


@case("folders", "a class in `test` alone")
def _(root):
    image(root, "test/dove/1.png")


@case("folders", "hidden files: `.thumb.png`, `._1.png`, `.DS_Store`")
def _(root):
    for name in (".thumb.png", "._1.png", ".DS_Store"):
        content(root, b"x", f"train/crow/{name}")


@case("folders", "`crow/1.heic`, `crow/notes.txt`")
def _(root):
    for name in ("1.heic", "notes.txt"):
        content(root, b"x", f"train/crow/{name}")


@case("folders", "`crow/more/2.png`, one folder deeper")
def _(root):
    image(root, "train/crow/more/2.png")


@case("folders", "`birds/README.md`, `birds/extra/1.png`")
def _(root):
    content(root, b"x", "README.md")
    image(root, "extra/1.png")


@case("folders", "a test image that is a copy of a training image")
def _(root):
    image(root, "test/owl/copy.png", 0)


@case("folders", "a class folder without images")
def _(root):
    (root / "birds" / "train" / "dove").mkdir()


@case("folders", "`crow/images/1.png` and nothing in `crow`")
def _(root):
    shutil.rmtree(root / "birds" / "train" / "crow")
    image(root, "train/crow/images/1.png")


@case("folders", "`birds/images` in place of `birds/train`")
def _(root):
    (root / "birds" / "train").rename(root / "birds" / "images")


@case("folders", "a file that ends early")
def _(root):
    content(root, png(PIXELS[20])[:150])


@case("folders", "a web page named `1.jpg`")
def _(root):
    content(root, b"<html>not found</html>", "train/crow/1.jpg")


@case("folders", "a GIF named `1.png`")
def _(root):
    image(root, "train/crow/1.png", kind="GIF")


@case("folders", "an image of 16 bits a channel")
def _(root):
    content(root, deep())


@case("folders", "a link to a file that is gone")
def _(root):
    (root / "birds" / "train" / "crow" / "x.png").symlink_to("gone")


@case("folders", "a class folder whose name is no UTF-8")
def _(root):
    image(root, f"train/{os.fsdecode(b'caf' + bytes([0xE9]))}/1.png")


@case("parquet", "labels as whole numbers of any width, signed or not")
def _(root):
    table(root, pa.array([0, 1, 1], pa.uint8()))


@case("parquet", "labels as names, also dictionary-encoded")
def _(root):
    table(root, pa.array(["crow", "owl"]))
    table(root, pa.array(["owl", "dove"]).dictionary_encode(), "test", _pngs(10, 11))


@case("parquet", "names that are numbers: 2 and 10")
def _(root):
    table(root, ["2", "10"])
    table(root, ["10", "2"], "test", _pngs(10, 11))


@case("parquet", "images as bytes instead of struct<bytes, path>")
def _(root):
    table(root, [0, 1, 1])


@case("parquet", "images as lists of uint8, the bytes of a file")
def _(root):
    files = [list(png(pixels)) for pixels in PIXELS[:3]]
    table(root, [0, 1, 1], images=pa.array(files, pa.list_(pa.uint8())))


@case("parquet", "raw pixels instead of a file")
def _(root):
    raw = [pixels.tobytes() for pixels in PIXELS[:2]]
    table(root, [0, 1], images=pa.array([list(each) for each in raw], pa.list_(pa.uint8())))


@case("parquet", "names in the hub's metadata")
def _(root):
    write_parquet(root / "birds-train.parquet", PIXELS[:2], [0, 1], names=["owl", "crow"])


@case("parquet", "parts `birds-train-00000-of-00002.parquet` and the other")
def _(root):
    first = root / "birds-train.parquet"
    first.rename(root / "birds-train-00000-of-00002.parquet")
    table(root, [0, 1], "train-00001-of-00002", _pngs(10, 11))


@case("parquet", "`birds-validation.parquet` beside the two")
def _(root):
    table(root, [0, 1], "validation")


@case("parquet", "a column `source`")
def _(root):
    table(root, [0, 1], source=["a", "b"])


@case("parquet", "names in another order in the test file")
def _(root):
    for subset, names in (("train", ["crow", "owl"]), ("test", ["owl", "crow"])):
        write_parquet(root / f"birds-{subset}.parquet", PIXELS[:2], [0, 1], names=names)


@case("parquet", "numbers in one file, names in the other")
def _(root):
    table(root, ["crow", "owl"])


@case("parquet", "a label that is null")
def _(root):
    table(root, [0, None])


@case("parquet", "a negative label, or one beyond the listed names")
def _(root):
    table(root, [0, -1])


@case("parquet", "labels as floating-point numbers")
def _(root):
    table(root, [0.0, 1.0])


@case("parquet", "columns `image` and `img`")
def _(root):
    table(root, [0, 1], img=_pngs(0, 1))


@case("parquet", "a path without bytes")
def _(root):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table(root, [0, 1], images=pa.array([{"path": "x.png"}] * 2, kind))


@case("parquet", "`birds_train.parquet` in place of `birds-train.parquet`")
def _(root):
    (root / "birds-train.parquet").rename(root / "birds_train.parquet")


@case("parquet", "one part of two")
def _(root):
    (root / "birds-train.parquet").rename(root / "birds-train-00000-of-00002.parquet")


@case("parquet", "a file that ends early, as a download leaves it")
def _(root):
    path = root / "birds-train.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def _pngs(*numbers):
    return pa.array([png(np.asarray(PIXELS[k])) for k in numbers])
