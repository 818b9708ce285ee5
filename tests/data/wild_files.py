"""The files of docs/data-in-the-wild.md: for each row, what is done to two sound subsets.

Here those of folders; `wild_parquet` has the others.
"""

import io
import os
import shutil
from pathlib import Path

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


def renames(*names):
    """Makes files that lie under other names."""

    def make(root):
        for old, new in names:
            (root / old).rename(root / new)

    return make


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


case("folders", "`validation` (or `val`, `valid`) in place of `test`")(
    renames(("birds/test", "birds/validation"))
)


case("folders", "`Train` and `Testing` in place of `train` and `test`")(
    renames(("birds/train", "birds/Train"), ("birds/test", "birds/Testing"))
)


@case("folders", "`val` beside `test`")
def _(root):
    shutil.copytree(root / "birds" / "test", root / "birds" / "val")


@case("folders", "class folders `0` to `10`")
def _(root):
    shutil.rmtree(root / "birds")
    for number in range(11):
        image(root, f"train/{number}/0.png", number)
        image(root, f"test/{number}/0.png", number + 20)


def renamed(crow, owl):
    """Makes files of classes that are called otherwise."""
    pairs = [
        (f"birds/{s}/{old}", f"birds/{s}/{new}")
        for s in ("train", "test")
        for old, new in (("crow", crow), ("owl", owl))
    ]
    return renames(*pairs)


case("folders", "class folders `1` and `2`")(renamed("1", "2"))
case("folders", "class folders `class_2` and `class_10`")(renamed("class_2", "class_10"))


@case("folders", "a class in `test` alone")
def _(root):
    image(root, "test/dove/1.png")


def no_images(*names):
    """Makes files in a class's folder that are none."""
    return lambda root: [content(root, b"x", f"train/crow/{name}") for name in names]


case("folders", "hidden files: `.thumb.png`, `._1.png`, `.DS_Store`")(
    no_images(".thumb.png", "._1.png", ".DS_Store")
)


@case("folders", "folders `@eaDir` and `__MACOSX`, of a file server and of macOS")
def _(root):
    for name in ("train/@eaDir/1.jpg", "train/crow/@eaDir/1.jpg", "train/__MACOSX/._1.png"):
        content(root, b"a thumbnail", name)


case("folders", "`crow/1.heic`, `crow/notes.txt`")(no_images("1.heic", "notes.txt"))
case("folders", "a web page named `1.jpg`")(
    lambda root: content(root, b"<html>not found</html>", "train/crow/1.jpg")
)
case("folders", "an image of 1 x 400 pixels")(lambda root: saved(root, Image.new("RGB", (1, 400))))


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


case("folders", "`birds/images` in place of `birds/train`")(
    renames(("birds/train", "birds/images"))
)


@case("folders", "a file that ends early")
def _(root):
    content(root, png(PIXELS[20])[:150])


@case("folders", "a JPEG whose second half is zeros")
def _(root):
    picture = io.BytesIO()
    Image.fromarray(PIXELS[20]).resize((160, 160)).save(picture, "JPEG", optimize=True)
    half = len(picture.getvalue()) // 2
    content(root, picture.getvalue()[:half] + bytes(half))


@case("folders", "a JPEG with 1,024 zeros in its middle")
def _(root):
    picture = io.BytesIO()
    Image.fromarray(PIXELS[20]).resize((400, 400)).save(picture, "JPEG", quality=95)
    third = len(picture.getvalue()) // 3
    content(root, picture.getvalue()[:third] + bytes(1024) + picture.getvalue()[third + 1024 :])


@case("folders", "a PNG with one bit changed")
def _(root):
    whole = png(PIXELS[20])
    content(root, whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])


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
