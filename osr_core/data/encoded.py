"""Image files as RGB pixels, and what can be wrong with them.

Grey, palette, transparent and CMYK images become RGB; transparency is dropped. Images of 16 bits a
channel are refused, grey or not: how they are to be scaled is not said in them. A user's own images
are turned upright where their EXIF data say so, and refused where their data are damaged; published
datasets are read as they are, like in everybody's experiments. A file that is broken, or of another
kind, is named.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osr_core.data.files import reading
from osr_core.data.imageset import ImageSet
from osr_core.data.jpeg import check_whole
from osr_core.errors import DataError

if TYPE_CHECKING:  # arrays are read where Pillow is not installed
    from PIL import Image

ENCODINGS = ("PNG", "JPEG", "WEBP", "BMP")  # whatever the ending: some of ImageNet's JPEG are PNG
JPEG = ("JPEG", "MPO")  # the latter are several in one file, of which the first is read
MOST_PIXELS = 178_956_970  # what Pillow takes for an attack on the memory
MOST_TIMES = 300  # the shorter side: for 224 these are 20 million pixels before the cut
EIGHT_BITS = 8
ORIENTATION, UPRIGHT = 0x0112, 1  # the tag, and what it says of most pictures
TURNS = {  # by the tag's value, which of Pillow's Transpose makes a picture upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
PNG_START, PNG_DEPTH = b"\x89PNG", 24  # its first bytes, and where it says its bits a channel
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # eight bits a channel
FILES_AT_ONCE = 512
THREADS = 8  # Pillow decodes outside Python's lock
MARGIN = 256 / 224  # the shorter side against the square that is cut out of the middle

Pixels = npt.NDArray[np.uint8]  # (H, W, 3)


def decode_exact(content: bytes, side: int, where: str) -> Pixels:
    """The pixels of an encoded image of side x side.

    Raises:
        DataError: broken, of another kind or of another size; `where` names the image.
    """
    image = _open(content, where)
    if image.size != (side, side):
        width, height = image.size
        raise DataError(f"{where}: the image is {height} x {width}, not {side} x {side}.")
    return np.asarray(image)


def decode_square(content: bytes, side: int, where: str, *, own: bool = False) -> Pixels:
    """The middle square of an encoded image of any size, side x side.

    The shorter side becomes 256 / 224 of `side` (bilinear, antialiased), then the middle is cut
    out: for 224 the usual preparation of ImageNet's validation images. `own`: the image is a
    user's own; it is first turned as its EXIF data say, and must be whole.

    Raises:
        DataError: broken, or of another kind; `where` names the image.
    """
    from PIL.Image import Resampling

    image = _open(content, where, own)
    if max(image.size) > MOST_TIMES * min(image.size):
        raise DataError(
            f"{where}: the image has {image.width} x {image.height} pixels; no side may be more "
            f"than {MOST_TIMES} times the other, as it is scaled before it is cut. Cut it."
        )
    scale = round(side * MARGIN) / min(image.size)
    width, height = (max(side, round(scale * length)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    small = image.resize((width, height), Resampling.BILINEAR)
    return np.asarray(small.crop((left, top, left + side, top + side)))


def _open(content: bytes, where: str, own: bool = False) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # MOST_PIXELS is asked for below, in words
    try:
        with Image.open(io.BytesIO(content)) as image:
            _check(image, content, where)
            image.info.pop("transparency", None)  # Pillow warns of it, and it is dropped
            if own and image.format in JPEG:
                check_whole(image, content, where)
            if own and image.format == "PNG":
                _check_sums(content)
            image.load()  # now: asked for EXIF data, it would fail there, and not a second time
            turn = TURNS.get(orientation(image)) if own else None
            found = image if turn is None else image.transpose(Image.Transpose[turn])
            return found.convert("RGB")
    except UnidentifiedImageError:
        start = f"begins with the bytes {content[:8].hex(' ')}" if content else "is empty"
        raise DataError(
            f"{where}: the image is broken, or of no kind that can be read here "
            f"({', '.join(ENCODINGS)}); it {start}."
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{where}: the image is broken: {error}.") from error


def _check_sums(content: bytes) -> None:
    """Compare a PNG file's checksums, which decoding does not.

    Raises:
        SyntaxError, OSError: one differs, or is missing.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.verify()


def orientation(image: "Image.Image") -> int:
    """What the EXIF data say of how the camera was held; 1, upright, where they are damaged."""
    try:
        return int(image.getexif().get(ORIENTATION, UPRIGHT))
    except Exception:  # damage raises nearly anything, and the pixels are whole
        return UPRIGHT


def _check(image: "Image.Image", content: bytes, where: str) -> None:
    """Refuse what is of another kind, too large, or has other than eight bits a channel."""
    kind = "JPEG" if image.format in JPEG else image.format
    if kind not in ENCODINGS:
        raise DataError(
            f"{where}: the image is a {kind} file; save it as one of {', '.join(ENCODINGS)}."
        )
    if image.format != "MPO" and (pictures := getattr(image, "n_frames", 1)) > 1:
        raise DataError(f"{where}: the file holds {pictures} pictures; save the one that is meant.")
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise DataError(
            f"{where}: the image has {width} x {height} pixels, more than {MOST_PIXELS}; scale it "
            "down."
        )
    deep = content.startswith(PNG_START) and content[PNG_DEPTH] > EIGHT_BITS
    if image.mode not in MODES or deep:
        mode = f"{image.mode} with 16 bits" if deep else image.mode
        raise DataError(
            f"{where}: the image's mode is {mode}, not one of {', '.join(MODES)} with 8 bits a "
            "channel; convert it."
        )


def file_blocks(
    paths: Sequence[Path], labels: Tensor, decode: Callable[..., Pixels]
) -> Iterator[ImageSet]:
    """The images of `paths` in their order, in pieces of FILES_AT_ONCE.

    Args:
        paths: (N) files.
        labels: (N,).
        decode: gives the pixels of a file's content, named by `where`.
    """

    def read(path: Path) -> Pixels:
        with reading(path) as file:
            return decode(file.read(), where=f"'{path}'")

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), FILES_AT_ONCE):
            piece = slice(start, start + FILES_AT_ONCE)
            pixels = np.stack(list(pool.map(read, paths[piece])))
            yield ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2), labels[piece])
