"""PNG and JPEG files as RGB pixels, and what can be wrong with them.

Grey, palette, transparent and CMYK images become RGB; transparency is dropped. A file that is
broken, or of another kind, is named.
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from osr_core.data.files import reading
from osr_core.data.imageset import ImageSet
from osr_core.errors import DataError

ENCODINGS = ("PNG", "JPEG")  # some of ImageNet's JPEG files are PNG
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # eight bits a channel
FILES_AT_ONCE = 512
THREADS = 8  # Pillow decodes outside Python's lock
MARGIN = 256 / 224  # the shorter side against the square that is cut out of the middle

Pixels = npt.NDArray[np.uint8]  # (H, W, 3)


def decode_exact(content: bytes, side: int, where: str) -> Pixels:
    """The pixels of an encoded image of side x side.

    Raises:
        DataError: broken, not PNG or JPEG, or of another size; `where` names the image.
    """
    image = _open(content, where)
    if image.size != (side, side):
        width, height = image.size
        raise DataError(f"{where}: the image is {height} x {width}, not {side} x {side}.")
    return np.asarray(image)


def decode_square(content: bytes, side: int, where: str) -> Pixels:
    """The middle square of an encoded image of any size, side x side.

    The shorter side becomes 256 / 224 of `side` (bilinear, antialiased), then the middle is cut
    out: for 224 the usual preparation of ImageNet's validation images.

    Raises:
        DataError: broken, or not PNG or JPEG; `where` names the image.
    """
    image = _open(content, where)
    scale = round(side * MARGIN) / min(image.size)
    width, height = (max(side, round(scale * length)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(small.crop((left, top, left + side, top + side)))


def _open(content: bytes, where: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=ENCODINGS) as image:
            if image.mode in MODES:
                return image.convert("RGB")
            mode = image.mode
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: the image is broken: {error}.") from error
    raise DataError(f"{where}: the image's mode is {mode}, not one of {', '.join(MODES)}.")


def file_blocks(
    paths: Sequence[Path], labels: Tensor, side: int, *, exact: bool
) -> Iterator[ImageSet]:
    """The images of `paths` in their order, in pieces of FILES_AT_ONCE.

    `exact`: they must be side x side already; else the middle square is taken.
    """
    decode = decode_exact if exact else decode_square

    def read(path: Path) -> Pixels:
        with reading(path) as file:
            return decode(file.read(), side, f"'{path}'")

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), FILES_AT_ONCE):
            piece = slice(start, start + FILES_AT_ONCE)
            pixels = np.stack(list(pool.map(read, paths[piece])))
            yield ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2), labels[piece])
