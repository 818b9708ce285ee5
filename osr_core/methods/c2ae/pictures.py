"""What training images become under each class, for people.

reconstructed.parquet  some images of the first classes in turn, each as it is and as it is
                       decoded under each of these classes, with the error e
"""

from collections.abc import Callable

import pyarrow as pa
import torch
from torch import Tensor

from osr_core.data.batches import Batches
from osr_core.kinds import Kind
from osr_core.tables import table_of

RECONSTRUCTED = "reconstructed.parquet"
RECONSTRUCT = Kind(name="c2ae.reconstruct", version=2, leaves=(RECONSTRUCTED,))
SCHEMA = pa.schema(
    [
        ("column", pa.int32()),  # of the grid: one for each training image
        ("position", pa.int32()),  # of the training image among the known ones
        ("label", pa.int32()),  # of the training image
        ("condition", pa.int32()),  # the class that it is decoded under; null: the image itself
        ("error", pa.float64()),  # e; null: the image itself
        ("channels", pa.int32()),
        ("side", pa.int32()),
        ("pixels", pa.list_(pa.uint8())),  # (C S S,)
    ]
)
SHOWN = 12  # training images in the table, or fewer
CLASSES = 10  # at most
MOST_PIXELS = 200_000  # in the table

Decode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Images (B, C, S, S) in [0, 1] and labels (B,): what they become under these classes, and e."""


def shown(train: Batches, num_known: int) -> Tensor:
    """(n,) positions of the images to show: the first of each class, then the second, ..."""
    classes, image = min(num_known, CLASSES), train.images[:1].numel()
    count = min(SHOWN, max(1, MOST_PIXELS // (image * (1 + classes))))
    of_class = [(train.labels == k).nonzero()[:, 0] for k in range(classes)]
    in_turn = [of_class[i % classes][i // classes : i // classes + 1] for i in range(count)]
    return torch.cat(in_turn)


def table_of_pictures(train: Batches, num_known: int, decode: Decode) -> pa.Table:
    """Line by line: the images, then all of them under class 0, under class 1, ..."""
    at = shown(train, num_known)
    images, label = train.take(at), train.labels[at]
    rows: list[tuple[int, int | None, float | None]] = [(c, None, None) for c in range(len(at))]
    pixels = [images]
    for k in range(min(num_known, CLASSES)):
        made, errors = decode(images, torch.full_like(label, k))
        pixels.append(made)
        rows += [(c, k, error) for c, error in enumerate(errors.tolist())]
    levels = torch.cat(pixels).mul(255).round().clamp(0, 255).to(torch.uint8).cpu()
    column, condition, error = zip(*rows, strict=True)
    values = [
        column,
        at.repeat(len(pixels)).cpu().numpy(),
        label.repeat(len(pixels)).cpu().numpy(),
        condition,
        error,
        [levels.shape[1]] * len(rows),
        [levels.shape[2]] * len(rows),
        list(levels.flatten(1).numpy()),
    ]
    return table_of(values, SCHEMA)
