"""Columns of Parquet files: which hold images and labels, by name and by type."""

from pathlib import Path

import pyarrow as pa

from osr_core.errors import DataError

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("fine_label", "label")  # CIFAR-100 has a coarse_label too


def plain(column: pa.Array) -> pa.Array:
    """A column without its dictionary, if it has one."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def value_type(kind: pa.DataType) -> pa.DataType:
    """What a column's values are, in a dictionary or not."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds names."""
    types, kind = pa.types, value_type(kind)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes, perhaps as lists of them."""
    types, kind = pa.types, value_type(kind)
    tests = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in tests) or is_list_of_bytes(kind)


def is_list_of_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes as tools leave them that know no binary type."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_list and pa.types.is_uint8(kind.value_type))


def is_image(kind: pa.DataType) -> bool:
    """Whether a column holds encoded files."""
    if pa.types.is_struct(kind) and (position := kind.get_field_index("bytes")) >= 0:
        return is_bytes(kind.field(position).type)
    return is_bytes(kind)


def is_label(kind: pa.DataType) -> bool:
    """Whether a column holds classes."""
    return bool(pa.types.is_integer(value_type(kind))) or is_text(kind)


def find_columns(path: Path, schema: pa.Schema) -> tuple[str, str]:
    """Names of the image and the label column of a file with this schema.

    Raises:
        DataError: none, or several that could be meant.
    """
    columns = {field.name: field.type for field in schema}
    image = [name for name in IMAGE_COLUMNS if is_image(columns.get(name, pa.null()))]
    label = [name for name in LABEL_COLUMNS if is_label(columns.get(name, pa.null()))]
    if len(image) > 1:
        raise DataError(f"'{path}' has the image columns {' and '.join(image)}; keep one of them.")
    twice = [name for name in (*image, *label) if schema.names.count(name) > 1]
    if twice:
        raise DataError(f"'{path}' has several columns {twice[0]}; keep one of them.")
    if image and label:
        return image[0], label[0]
    held = ", ".join(f"{name}: {kind}" for name, kind in columns.items())
    raise DataError(
        f"'{path}' must have an image column ({' or '.join(IMAGE_COLUMNS)}: encoded files as "
        "struct<bytes, path>, binary or lists of uint8) and a label column "
        f"({' or '.join(LABEL_COLUMNS)}: whole numbers or names); it has {held or 'none'}."
    )
