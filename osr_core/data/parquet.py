"""Image sets in Parquet, laid out as on the Hugging Face hub.

An image column struct<bytes: binary, path: string> holds encoded files, an integer column the
labels; the schema's metadata, where there, name the classes. One file or several numbered parts.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from osr_core.data.base import ImageSet, Subset, concatenate, label_tensor
from osr_core.errors import DataError

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("fine_label", "label")  # CIFAR-100 has a coarse_label too
ENCODINGS = ("PNG", "JPEG")
ROWS_AT_ONCE = 1000
NO_ALIASES: Mapping[str, str] = MappingProxyType({})


def pattern(name: str, subset: Subset) -> str:
    """What the files of a dataset's subset are called: `cifar10-train*.parquet`."""
    return f"{name}-{subset}*.parquet"


def find_parts(root: Path, name: str, subset: Subset) -> list[Path]:
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


def read_images(
    paths: Sequence[Path],
    classes: Sequence[str],
    side: int,
    aliases: Mapping[str, str] = NO_ALIASES,
) -> ImageSet:
    """The images of `paths`, one file after the other: (N, 3, side, side), RGB, and their labels.

    Args:
        paths: the parts of one set, in order.
        classes: names in label order; the names in a file's metadata must agree.
        side: height and width that every image must have.
        aliases: misspelt names in published metadata, and what they mean.

    Raises:
        DataError: a file that is no Parquet, is truncated, lacks a column or has other classes; an
            image that is broken or of another size; a label outside the classes.
    """
    return concatenate([_read_part(path, classes, side, aliases) for path in paths])


def _read_part(
    path: Path, classes: Sequence[str], side: int, aliases: Mapping[str, str]
) -> ImageSet:
    try:
        with pq.ParquetFile(path) as file:
            image, label = _columns(path, file.schema_arrow)
            _check_names(path, file.schema_arrow, label, classes, aliases)
            images = np.empty((file.metadata.num_rows, side, side, 3), np.uint8)
            labels = np.empty(file.metadata.num_rows, np.int64)
            row = 0
            for rows in file.iter_batches(ROWS_AT_ONCE, columns=[image, label]):
                labels[row : row + len(rows)] = rows[label].fill_null(-1)
                for encoded in rows[image].field("bytes").to_pylist():
                    images[row] = _decode(encoded, side, path, row)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"'{path}' cannot be read as Parquet: {error} Fetch it again.") from error
    return ImageSet(
        torch.from_numpy(images).permute(0, 3, 1, 2), label_tensor(labels, len(classes), path)
    )


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
        if aliases.get(theirs, theirs) != ours:
            raise DataError(
                f"'{path}' calls class {position} '{theirs}', but here it is '{ours}'. "
                "Is it another dataset, or are its labels in another order?"
            )
    if len(names) != len(classes):
        raise DataError(f"'{path}' has {len(names)} classes, not {len(classes)}.")


def _decode(encoded: bytes | None, side: int, path: Path, row: int) -> npt.NDArray[np.uint8]:
    """(side, side, 3) RGB."""
    if encoded is None:
        raise DataError(f"'{path}' row {row}: the image has no bytes, only a path at most.")
    try:
        with Image.open(io.BytesIO(encoded), formats=ENCODINGS) as image:
            if image.size == (side, side):
                return np.asarray(image.convert("RGB"))
            width, height = image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"'{path}' row {row}: the image is broken: {error}.") from error
    raise DataError(f"'{path}' row {row}: the image is {height} x {width}, not {side} x {side}.")
