"""Image sets in Parquet, laid out as on the Hugging Face hub.

An image column struct<bytes: binary, path: string> holds encoded files, an integer column the
labels; the schema's metadata, where there, name the classes. One file or several numbered parts.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from osr_core.data.encoded import Pixels, decode_exact, decode_square
from osr_core.data.imageset import ImageSet, label_tensor
from osr_core.errors import DataError

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("fine_label", "label")  # CIFAR-100 has a coarse_label too
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
    side: int,
    aliases: Mapping[str, str] = NO_ALIASES,
    *,
    exact: bool = True,
) -> Iterator[ImageSet]:
    """The images of `paths`, one file after the other, ROWS_AT_ONCE at a time.

    They are (n, 3, side, side), RGB, with their labels.

    Args:
        paths: the parts of one set, in order.
        classes: names in label order; the names in a file's metadata must agree. Empty: any.
        side: height and width of the images.
        aliases: other names in published metadata, and what they mean.
        exact: every image must have this size already; else its middle square is taken.

    Raises:
        DataError: a file that is no Parquet, is truncated, lacks a column, has other classes or no
            rows; an image that is broken or of another size; a label outside the classes.
    """
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                if file.metadata.num_rows == 0:
                    raise DataError(f"'{path}' holds no images.")
                columns = _columns(path, file.schema_arrow)
                if classes:
                    _check_names(path, file.schema_arrow, columns[1], classes, aliases)
                decode = decode_exact if exact else decode_square
                yield from _decoded(path, file, columns, len(classes), partial(decode, side=side))
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"'{path}' cannot be read as Parquet: {error} Fetch it again."
            ) from error


def _decoded(
    path: Path,
    file: pq.ParquetFile,
    columns: tuple[str, str],
    num_classes: int,
    decode: Callable[..., Pixels],
) -> Iterator[ImageSet]:
    """The images of one file in pieces."""
    image, label = columns
    row = 0
    for rows in file.iter_batches(ROWS_AT_ONCE, columns=list(columns)):
        labels = label_tensor(rows[label].fill_null(-1), num_classes or MOST_CLASSES, path, row)
        pixels = []
        for i, content in enumerate(rows[image].field("bytes").to_pylist(), row):
            if content is None:
                raise DataError(f"'{path}' row {i}: the image has no bytes, only a path at most.")
            pixels.append(decode(content, where=f"'{path}' row {i}"))
        yield ImageSet(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), labels)
        row += len(rows)


def _columns(path: Path, schema: pa.Schema) -> tuple[str, str]:
    """Names of the image and the label column."""

    def is_image(kind: pa.DataType) -> bool:
        return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)

    columns = {field.name: field.type for field in schema}
    image = [name for name in IMAGE_COLUMNS if name in columns and is_image(columns[name])]
    label = [name for name in LABEL_COLUMNS if pa.types.is_integer(columns.get(name, pa.null()))]
    if image and label:
        return image[0], label[0]
    held = ", ".join(f"{name}: {kind}" for name, kind in columns.items())
    raise DataError(
        f"'{path}' must have an image column ({' or '.join(IMAGE_COLUMNS)}: struct<bytes, path>) "
        f"and an integer label column ({' or '.join(LABEL_COLUMNS)}); it has {held or 'none'}."
    )


def _check_names(
    path: Path,
    schema: pa.Schema,
    label: str,
    classes: Sequence[str],
    aliases: Mapping[str, str],
) -> None:
    """Refuse a file whose metadata list other classes than `classes`; silence is accepted."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata["info"]["features"][label]["names"]
    except (ValueError, LookupError, TypeError):
        return
    for position, (theirs, ours) in enumerate(zip(names, classes, strict=False)):
        first = theirs.split(",")[0]  # of several words for the same, as WordNet has them
        if ours not in (aliases.get(theirs, theirs), first):
            raise DataError(
                f"'{path}' calls class {position} '{theirs}', but here it is '{ours}'. "
                "Is it another dataset, or are its labels in another order?"
            )
    if len(names) != len(classes):
        raise DataError(f"'{path}' has {len(names)} classes, not {len(classes)}.")
