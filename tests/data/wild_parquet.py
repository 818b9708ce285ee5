"""The Parquet files of docs/data-in-the-wild.md, as `wild_files` has the folders."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data_files import png, write_parquet
from wild_files import CASES, PIXELS, case, renames

__all__ = ["CASES"]  # of both files


def table(root, labels, subset="train", images=None, **columns):
    """A file of birds; images and further columns as given."""
    files = pa.array([png(PIXELS[k]) for k in range(len(labels))]) if images is None else images
    found = pa.table({"image": files, "label": labels, **columns})
    pq.write_table(found, root / f"birds-{subset}.parquet")


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


@case("parquet", "a name that the metadata list twice, and labels as numbers")
def _(root):
    names = ["owl", "crow", "owl"]
    write_parquet(root / "birds-train.parquet", PIXELS[:2], [0, 1], names=names)


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


@case("parquet", "a path without bytes, or an image that is null or empty")
def _(root):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table(root, [0, 1], images=pa.array([{"path": "x.png"}] * 2, kind))


case("parquet", "`birds_train.parquet` in place of `birds-train.parquet`")(
    renames(("birds-train.parquet", "birds_train.parquet"))
)


case("parquet", "one part of two")(
    renames(("birds-train.parquet", "birds-train-00000-of-00002.parquet"))
)


@case("parquet", "a file that ends early, as a download leaves it")
def _(root):
    path = root / "birds-train.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def _pngs(*numbers):
    return pa.array([png(np.asarray(PIXELS[k])) for k in numbers])
