"""Data files of any layout and content, as strategies of Hypothesis: sound ones, and changed ones.

A tree gives, by path, what makes the file there.
"""

import gzip
import io
import json
import os
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data_files import idx_bytes, noise, png
from hypothesis import strategies as st
from PIL import Image

PICTURES = [
    png(noise(1, 8, 8, 3, seed=seed)[0], kind) for seed in range(3) for kind in ("PNG", "JPEG")
]
PICTURES += [png(noise(1, 9, 12, 3)[0], kind) for kind in ("WEBP", "BMP")]


def deep() -> bytes:
    """A grey PNG file of 16 bits."""
    content = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(content, "PNG")
    return content.getvalue()


OTHERS = [b"", b"text", b"\xff\xd8\xff", b"BM", png(noise(1, 8, 8, 3)[0], "GIF"), deep()]


def write(content: bytes, path: Path) -> None:
    """A file."""
    path.write_bytes(content)


def link(path: Path) -> None:
    """A link to nowhere."""
    path.symlink_to("nowhere")


def pipe(path: Path) -> None:
    """Something that is no file and never ends."""
    os.mkfifo(path)


@st.composite
def damaged(draw, contents):
    """One of some contents, cut or with bytes changed, or as it is."""
    content = draw(contents)
    how = draw(st.integers(0, 5))
    if how == 0:
        return content[: draw(st.integers(0, len(content)))]
    if how == 1 and content:
        changed = bytearray(content)
        for place in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            changed[place] = draw(st.integers(0, 255))
        return bytes(changed)
    return content


SOUND = st.sampled_from(PICTURES)
MAKERS = st.one_of(
    SOUND.map(lambda content: partial(write, content)),
    damaged(st.sampled_from(PICTURES + OTHERS)).map(lambda content: partial(write, content)),
    st.sampled_from([link, pipe]),
)
PARTS = ["train", "test", "val", "valid", "images", "other", ".git"]
CLASSES = [
    "a",
    "b",
    "Z",
    "2",
    "10",
    "\u00e9t\u00e9",
    os.fsdecode(b"\xff"),
    "a b",
    "n\nl",
    ".x",
    "images",
    "c.png",
]
NAMES = [
    "0.png",
    "1.PNG",
    "x.jpg",
    "y.webp",
    "z.heic",
    ".thumb.png",
    "none",
    "list.txt",
    "d.tar.gz",
]
NAMES += [os.fsdecode(b"\xfe.png"), "n\nl.bmp"]
BASE = [
    f"birds/{part}/{cls}/{n}.png" for part in ("train", "test") for cls in "ab" for n in range(2)
]


def without_clashes(paths):
    """Paths of which none is a folder on another's way."""
    folders = {str(folder) for path in paths for folder in Path(path).parents}
    return [path for path in paths if path not in folders]


@st.composite
def folders(draw):
    """Two classes in both subsets, most of them, and anything beside them."""
    paths = [path for path in BASE if draw(st.integers(0, 15))]
    for _ in range(draw(st.integers(0, 3))):
        names = [
            draw(st.sampled_from(PARTS)),
            *draw(st.lists(st.sampled_from(CLASSES), max_size=3)),
        ]
        names = names[draw(st.integers(0, 1)) :]
        paths.append("/".join(["birds", *names, draw(st.sampled_from(NAMES))]))
    sound = draw(st.booleans())
    tree = {}
    for number, path in enumerate(without_clashes(dict.fromkeys(paths))):
        content = PICTURES[number % len(PICTURES)]
        own = path in BASE or sound
        tree[path] = partial(write, content + bytes([number])) if own else draw(MAKERS)
    return tree


FOLDERS = folders()
NUMBERS = [
    pa.int8(),
    pa.uint8(),
    pa.int64(),
    pa.uint64(),
    pa.float32(),
    pa.bool_(),
    pa.decimal128(5),
]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
WITH_DICTIONARY = [*NUMBERS[:4], *TEXTS[:2]]
BYTES = [pa.binary(), pa.large_binary(), pa.binary_view()]


@st.composite
def label_columns(draw, rows):
    """Numbers or names of any type, with or without nothing."""
    nothing = st.none() if draw(st.integers(0, 7)) == 0 else st.nothing()
    if draw(st.booleans()):
        kind = draw(st.sampled_from(NUMBERS))
        values = st.booleans() if kind == pa.bool_() else st.integers(0, 3)
        if kind == pa.int64():
            values |= st.sampled_from([-1, 2**31, 2**62])
    else:
        kind, values = draw(st.sampled_from(TEXTS)), st.sampled_from(["a", "b", "", "\u00e9"])
    column = pa.array(draw(st.lists(values | nothing, min_size=rows, max_size=rows)), kind)
    return column.dictionary_encode() if draw(st.booleans()) and kind in WITH_DICTIONARY else column


@st.composite
def image_columns(draw, rows):
    """Encoded files of any type, sound or not."""
    one = SOUND if draw(st.booleans()) else damaged(st.sampled_from(PICTURES + OTHERS)) | st.none()
    files = draw(st.lists(one, min_size=rows, max_size=rows))
    kind = draw(st.sampled_from(BYTES))
    column = pa.array(files, kind)
    how = draw(st.integers(0, 3))
    if how == 0:
        return pa.StructArray.from_arrays([column], ["bytes"])
    if how == 1:
        path = pa.array(["x"] * rows)
        return pa.StructArray.from_arrays([path, column], ["path", "bytes"])
    return column.dictionary_encode() if how == 2 and kind != pa.binary_view() else column


LISTED = [["a", "b", "", "\u00e9"], ["b", "a"], [], [1, None], "ab", None, ["a", "a"]]


@st.composite
def parquet_contents(draw):
    """A file with an image and a label column, mostly, and others."""
    rows = draw(st.integers(0, 4))
    names = draw(st.permutations(["image", "label"]))
    if draw(st.integers(0, 3)) == 0:
        names += draw(
            st.lists(st.sampled_from(["img", "label", "fine_label", "image", "x"]), max_size=2)
        )
    kinds = {"image": image_columns, "img": image_columns}
    columns = [draw(kinds.get(name, label_columns)(rows)) for name in names]
    table = pa.Table.from_arrays(columns, names)
    if draw(st.integers(0, 2)) == 0:
        listed = draw(
            st.sampled_from(
                [["a", "b", "", "\u00e9"], ["b", "a"], [], [1, None], "ab", None, ["a", "a"]]
            )
        )
        info = {"info": {"features": {"label": {"names": listed}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    file = io.BytesIO()
    pq.write_table(table, file, compression="none")
    return file.getvalue()


PARQUET_NAMES = ["birds-train", "birds-test", "birds-train-0-of-2", "birds-train-1-of-2"]
PARQUET_NAMES += ["birds-validation", "birds-test-x", "birds-test2"]


@st.composite
def parquet_files(draw):
    """The two subsets, mostly, and others."""
    extra = (
        draw(st.lists(st.sampled_from(PARQUET_NAMES), max_size=2)) if draw(st.booleans()) else []
    )
    names = dict.fromkeys([*(n for n in PARQUET_NAMES[:2] if draw(st.integers(0, 15))), *extra])
    contents = parquet_contents() if draw(st.booleans()) else damaged(parquet_contents())
    return {f"{name}.parquet": partial(write, draw(contents)) for name in names}


PARQUET_FILES = parquet_files()
IDX_NAMES = [f"{p}-{w}-ubyte" for p in ("train", "t10k") for w in ("images-idx3", "labels-idx1")]


@st.composite
def idx_files(draw):
    """MNIST's four files, each with its own number of rows, sides and damage, packed or not."""
    tree = {}
    rows = draw(st.integers(0, 3))
    for name in IDX_NAMES:
        num = rows if draw(st.integers(0, 7)) else draw(st.integers(0, 3))
        side = 28 if draw(st.integers(0, 7)) else draw(st.integers(0, 29))
        shape = (num, side, 28) if "images" in name else (num,)
        values = np.full(shape, draw(st.integers(0, 10)), np.uint8)
        content = draw(damaged(st.just(idx_bytes(values))))
        if draw(st.booleans()):
            tree[f"{name}.gz"] = partial(write, draw(damaged(st.just(gzip.compress(content)))))
        else:
            tree[name] = partial(write, content)
        if draw(st.integers(0, 15)) == 0:
            sizes = struct.pack(
                ">3I", *draw(st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3))
            )
            tree[name] = partial(write, content[:4] + sizes + content[16:])
    return tree


IDX_FILES = idx_files()
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
    *(st.integers(-3, 12), st.just(10**400)),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
CLASS_NAMES = st.sampled_from(["0", "1", "2", "cat", "dog", "apple", "rose", ""])
CLASS_LISTS = st.lists(st.integers(0, 11), max_size=4) | st.lists(CLASS_NAMES, max_size=4) | VALUES
SIDES = {"known": CLASS_LISTS, "unknown": CLASS_LISTS, "x": VALUES}
SPLITS = st.fixed_dictionaries({}, optional=SIDES)
DATASETS = st.sampled_from(["digits", "Digits", "cifar+10", "folder:birds", "folder:", "cifra10"])
LISTS = st.dictionaries(DATASETS, st.lists(SPLITS, max_size=3) | VALUES, max_size=3)
FILES = st.fixed_dictionaries({"splits": LISTS | VALUES}) | VALUES
TEXT = FILES.map(lambda value: json.dumps(value).encode())
TWICE = b'{"splits": {"digits": [], "digits": [{"known": [0, 1], "unknown": [2]}]}}'
SPLIT_FILES = damaged(TEXT) | st.sampled_from([TWICE, b"[" * 20_000, b"\xff\xfe{}", b"9" * 5000])
