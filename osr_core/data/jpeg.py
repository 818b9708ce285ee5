"""Whether a JPEG file is whole: its decoder fills what is missing with grey and says nothing."""

import io
import re

import numpy as np
from PIL import Image

from osr_core.errors import DataError

MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)  # 00 and D0 to D7 are of the data
SCAN, END = 0xDA, 0xD9
ALONE = (0x01, 0xD8)  # markers without a segment
OTHER = bytes(range(1, 255)) * 16  # anything, as long as it holds no marker
CORNER = 8  # pixels, a block's side
LOST = 0.01  # of the pixels; some cameras leave out the last few bits


def check_whole(image: Image.Image, content: bytes, where: str) -> None:
    """Refuse a JPEG whose data end before its picture does.

    The marker of its end must come after a scan. More data put before that marker must not
    change the picture: they are read only where its own have been used up. A sequential picture
    that ends early has one grey in its last corner, so that most need not be decoded again.

    Raises:
        DataError: it is not whole; `where` names it.
    """
    end = _end(content)
    if end is None:
        raise DataError(f"{where}: the image is broken: no marker of its end comes after its data.")
    width, height = image.size
    corner = image.crop((max(0, width - CORNER), max(0, height - CORNER), width, height))
    if "progressive" not in image.info and len(corner.getcolors() or ()) > 1:
        return
    with Image.open(io.BytesIO(content[:end] + OTHER + content[end:])) as longer:
        differs = np.asarray(longer) != np.asarray(image)
    if (differs if differs.ndim == 2 else differs.any(2)).mean() > LOST:
        raise DataError(f"{where}: the image is broken: its data end before its picture does.")


def _end(content: bytes) -> int | None:
    """Where the first picture's last marker is; None where there is none after a scan."""
    place, scanned = 0, False
    while found := MARKER.search(content, place):
        code, place = found[1][0], found.end()
        if code == END and scanned:
            return found.start()
        scanned |= code == SCAN
        if code not in (*ALONE, END):
            place += int.from_bytes(content[place : place + 2])
    return None
