"""Image sets in Parquet, laid out as on the Hugging Face hub.

An image column holds encoded files, as struct<bytes, path>, as bytes alone or as lists of uint8; a
label column the class's number, as a whole number of any width, or its name. Either may be
dictionary-encoded. The schema's metadata, where there, name the classes. One file or several
numbered parts.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from osr_core.data.columns import find_columns, is_list_of_bytes, is_text, plain
from osr_core.data.encoded import Pixels
from osr_core.data.folders import in_order
from osr_core.data.imageset import ImageSet, label_tensor
from osr_core.errors import DataError

ROWS_AT_ONCE = 1000
MOST_CLASSES = 1 << 31  # where the classes are not known beforehand
NO_ALIASES: Mapping[str, str] = MappingProxyType({})


def pattern(name: str, subset: str) -> str:
    """What the files of a dataset's subset are called: `cifar10-train*.parquet`."""
    return f"{name}-{subset}*.parquet"


def find_parts(root: Path, name: str, subset: str) -> list[Path]:
    """The files of a subset in `root`, sorted by name; none if there are none.

    Raises:
        DataError: several files that are not the numbered parts of one set, or a part is missing.
    """
    parts = sorted(root.glob(pattern(name, subset)))
    found = ", ".join(path.name for path in parts)
    if len({re.sub(r"\d+", "#", path.name) for path in parts}) > 1:
        raise DataError(
            f"'{root}' holds {found}. These are not the parts of one set: the names of parts "
            f"differ only in their numbers, as in '{name}-{subset}-00000-of-00002.parquet'. "
            "Move or rename the files that are not meant."
        )
    promised = [int(of[1]) for path in parts if (of := re.search(r"-of-(\d+)\.", path.name))]
    if promised and set(promised) != {len(parts)}:
        raise DataError(
            f"'{root}' holds {len(parts)} of the {max(promised)} parts of {name}-{subset}: "
            f"{found}. Fetch the others."
        )
    return parts


def image_blocks(
    paths: Sequence[Path],
    classes: Sequence[str],
    decode: Callable[..., Pixels],
    aliases: Mapping[str, str] = NO_ALIASES,
) -> Iterator[ImageSet]:
    """The images of `paths`, one file after the other, ROWS_AT_ONCE at a time, with their labels.

    Args:
        paths: the parts of one set, in order.
        classes: names in label order; the names in a file's metadata must agree. Empty: any
            numbers.
        decode: gives the pixels of an encoded file, named by `where`.
        aliases: other names in published metadata, and what they mean.

    Raises:
        DataError: a file that is no Parquet, is truncated, lacks a column, has other classes or no
            rows; an image that `decode` refuses; a label outside the classes.
    """
    for path in paths:
        with _opened(path) as file:
            image, label = find_columns(path, file.schema_arrow)
            _check_names(path, file.schema_arrow, label, classes, aliases)
            row = 0
            for rows in file.iter_batches(ROWS_AT_ONCE, columns=[image, label]):
                labels = _labels(rows[label], classes, aliases, path, row)
                yield ImageSet(_images(rows[image], decode, path, row), labels)
                row += len(rows)


def image_labels(
    paths: Sequence[Path], classes: Sequence[str], aliases: Mapping[str, str] = NO_ALIASES
) -> Tensor:
    """(N,) the labels that `image_blocks` gives, without a look at the images.

    Raises:
        DataError: as `image_blocks`, of all but the images.
    """
    found = []
    for path in paths:
        with _opened(path) as file:
            _, label = find_columns(path, file.schema_arrow)
            _check_names(path, file.schema_arrow, label, classes, aliases)
            row = 0
            for rows in file.iter_batches(ROWS_AT_ONCE, columns=[label]):
                found.append(_labels(rows[label], classes, aliases, path, row))
                row += len(rows)
    return torch.cat(found)


def class_names(paths: Sequence[Path]) -> Sequence[str]:
    """The classes that some parts name, in label order; empty where they hold numbers alone.

    They are those of the metadata; without any, the names that the label columns hold,
    in order (`folders.in_order`).

    Raises:
        DataError: two parts that name other classes, or of which one has numbers and one names,
            and nothing says what the numbers mean; as `image_blocks`, of all but the images.
    """
    listed: dict[Path, list[str]] = {}
    held: set[str] = set()
    numbered = [path for path in paths if not has_names(path)]
    for path in paths:
        with _opened(path) as file:
            _, label = find_columns(path, file.schema_arrow)
            if names := _listed_names(file.schema_arrow, label):
                listed[path] = names
            if is_text(file.schema_arrow.field(label).type):
                column = file.read([label])[label].combine_chunks()
                held |= {name for name in plain(column).to_pylist() if name is not None}
    for path, names in listed.items():
        first, expected = next(iter(listed.items()))
        if names != expected:
            here, there = ", ".join(names), ", ".join(expected)
            raise DataError(
                f"'{path}' lists the classes {here}, and '{first}' {there}: a label would mean one "
                "class here and another one there. Write both with the same list."
            )
    if held and numbered and not listed:
        other = next(path for path in paths if path not in numbered)
        raise DataError(
            f"'{numbered[0]}' has numbers for labels, '{other}' names, and neither lists the "
            "classes: which number is which name is not known. Write both in the same way."
        )
    names = next(iter(listed.values()), in_order(held))
    if held and (twice := [name for name in names if names.count(name) > 1]):
        raise DataError(f"'{next(iter(listed))}' lists the class {twice[0]} more than once.")
    return names


def left_out(root: Path, name: str, subsets: Sequence[str]) -> Iterator[str]:
    """Which files and columns of a dataset are of no use, each in words.

    Raises:
        DataError: as `find_parts`, and as `image_labels`.
    """
    used = [path for subset in subsets for path in find_parts(root, name, subset)]
    for path in sorted(root.glob(f"{name}-*.parquet")):
        if path not in used:
            yield f"the file {path.name}"
    for path in used:
        with _opened(path) as file:
            columns = find_columns(path, file.schema_arrow)
            for column in file.schema_arrow.names:
                if column not in columns:
                    yield f"the column {column} of {path.name}"


def row_hashes(path: Path) -> list[str]:
    """A hash of each row's encoded file.

    Raises:
        DataError: as `image_blocks`, of the file, its columns and images that are not there.
    """
    found: list[str] = []
    with _opened(path) as file:
        image, _ = find_columns(path, file.schema_arrow)
        for rows in file.iter_batches(ROWS_AT_ONCE, columns=[image]):
            contents = _files(rows[image], path, len(found))
            found += [hashlib.blake2b(each, digest_size=16).hexdigest() for each in contents]
    return found


def has_names(path: Path) -> bool:
    """Whether a file's labels are names.

    Raises:
        DataError: as `image_labels`.
    """
    with _opened(path) as file:
        return is_text(file.schema_arrow.field(find_columns(path, file.schema_arrow)[1]).type)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file with rows; whatever Arrow finds wrong in it is a DataError."""
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows == 0:
                raise DataError(f"'{path}' holds no images.")
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as Parquet: {error} Fetch it again.") from error


def _images(column: pa.Array, decode: Callable[..., Pixels], path: Path, first_row: int) -> Tensor:
    """(n, 3, H, W) of a column's encoded files."""
    files = enumerate(_files(column, path, first_row), first_row)
    pixels = [decode(content, where=f"'{path}' row {row}") for row, content in files]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


def _files(column: pa.Array, path: Path, first_row: int) -> list[bytes]:
    """The encoded files of a column, none of which is null or empty."""
    column = plain(column)
    if pa.types.is_struct(column.type):  # flatten: where the struct is null, so is its field
        column = plain(column.flatten()[column.type.get_field_index("bytes")])
    if is_list_of_bytes(column.type):
        found = [row.values.to_numpy().tobytes() if row.is_valid else None for row in column]
    else:
        found = column.to_pylist()
    if not all(found):
        row = first_row + [bool(content) for content in found].index(False)
        raise DataError(f"'{path}' row {row}: the image has no bytes, only a path at most.")
    return [content for content in found if content]


def _labels(
    column: pa.Array,
    classes: Sequence[str],
    aliases: Mapping[str, str],
    path: Path,
    first_row: int,
) -> Tensor:
    """(n,) class numbers of a column of numbers or of names."""
    column = plain(column)
    if column.null_count:
        absent = column.is_null().to_pylist().index(True)
        raise DataError(f"'{path}' row {first_row + absent}: there is no label.")
    if not is_text(column.type):  # as an array: of a list, one label of 2^64 makes fractions
        values = column.to_numpy(zero_copy_only=False)
    else:
        values = column.to_pylist()
        number = {name: k for k, name in enumerate(classes)}
        number |= {theirs: number[ours] for theirs, ours in aliases.items()}
        for row, name in enumerate(values, first_row):
            if name not in number:
                raise DataError(f"'{path}' row {row}: there is no class '{name}'.")
        values = [number[name] for name in values]
    return label_tensor(values, len(classes) or MOST_CLASSES, path, first_row)


def _listed_names(schema: pa.Schema, label: str) -> list[str]:
    """The classes that a file's metadata list, in label order; none where they are silent."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata["info"]["features"][label]["names"]
    except (ValueError, LookupError, TypeError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _check_names(
    path: Path, schema: pa.Schema, label: str, classes: Sequence[str], aliases: Mapping[str, str]
) -> None:
    """Refuse a file whose metadata list other classes than `classes`; silence is accepted."""
    names = _listed_names(schema, label)
    for position, (theirs, ours) in enumerate(zip(names, classes, strict=False)):
        first = theirs.split(",")[0]  # of several words for the same, as WordNet has them
        if ours not in (aliases.get(theirs, theirs), first):
            raise DataError(
                f"'{path}' calls class {position} '{theirs}', but here it is '{ours}'. "
                "Is it another dataset, or are its labels in another order?"
            )
    if names and classes and len(names) != len(classes):
        raise DataError(f"'{path}' has {len(names)} classes, not {len(classes)}.")
