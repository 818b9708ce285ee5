"""Whether a JPEG file is whole: its decoder makes something up for what is missing or wrong."""

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from osr_core.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)  # 00 and D0 to D7 are of the data
SCAN, END, TABLES = 0xDA, 0xD9, 0xC4
SEQUENTIAL = (0xC0, 0xC1)  # frames whose scans have each block's numbers one after the other
ALONE = (0x01, 0xD8)  # markers without a segment
OTHER = bytes(range(1, 255)) * 16  # anything, as long as it holds no marker
CORNER = 8  # pixels, a block's side
LOST = 0.01  # of the pixels; some cameras leave out the last few bits
ZEROS = bytes(256)  # in a scan; more than any block can be made of
NO_MORE = 0  # the symbol for a block without further numbers


class Segment(NamedTuple):
    """What begins with a marker."""

    code: int
    start: int  # of the marker, in the file
    content: bytes  # without its length
    data: bytes  # that come after it: of a scan


def check_whole(image: "Image.Image", content: bytes, where: str) -> None:
    """Refuse a JPEG whose data end before its picture does, or are zeros somewhere in it.

    The marker of its end must come after a scan. More data put before that marker must not
    change the picture: they are read only where its own have been used up. A sequential picture
    that ends early has one grey in its last corner, so that most need not be decoded again.

    Raises:
        DataError: it is not whole; `where` names it.
    """
    from PIL import Image

    end, zeroed = _inspect(content)
    if end is None:
        raise DataError(f"{where}: the image is broken: no marker of its end comes after its data.")
    if zeroed:
        raise DataError(f"{where}: the image is broken: a stretch of its data is all zeros.")
    width, height = image.size
    corner = image.crop((max(0, width - CORNER), max(0, height - CORNER), width, height))
    if "progressive" not in image.info and len(corner.getcolors() or ()) > 1:
        return
    with Image.open(io.BytesIO(content[:end] + OTHER + content[end:])) as longer:
        differs = np.asarray(longer) != np.asarray(image)
    if (differs if differs.ndim == 2 else differs.any(2)).mean() > LOST:
        raise DataError(f"{where}: the image is broken: its data end before its picture does.")


def _inspect(content: bytes) -> tuple[int | None, bool]:
    """Where the first picture's last marker is, None without one after a scan; if it has zeros.

    As code, zeros are the same symbol over and over. Where that is not `NO_MORE`, a block of it is
    a pattern that no picture has, twice in a row. Zeros that end a scan may be padding.
    """
    scanned, sequential, zeroed, of_zeros = False, False, False, dict[int, int]()
    for code, start, segment, data in _segments(content):
        if code == END and scanned:
            return start, zeroed
        sequential |= code in SEQUENTIAL
        if code == TABLES:
            of_zeros |= _symbols_of_zeros(segment)
        if code == SCAN:
            scanned = True
            components = segment[2 : 1 + 2 * segment[0] : 2] if segment else b""
            varied = {of_zeros.get(each & 15, NO_MORE) for each in components} != {NO_MORE}
            zeroed |= sequential and varied and ZEROS in data.rstrip(b"\0")
    return None, zeroed


def _segments(content: bytes) -> Iterator[Segment]:
    place = 0
    while found := MARKER.search(content, place):
        code, place = found[1][0], found.end()
        begin = place
        if code not in (*ALONE, END):
            place += int.from_bytes(content[place : place + 2])
        following = MARKER.search(content, place) if code == SCAN else None
        data = content[place : following.start() if following else None] if code == SCAN else b""
        yield Segment(code, found.start(), content[begin + 2 : place], data)


def _symbols_of_zeros(tables: bytes) -> dict[int, int]:
    """What a code of zeros alone means: by the number of a table for all but the first numbers."""
    found, place = {}, 0
    while place + 17 < len(tables):
        kind, number = divmod(tables[place], 16)
        if kind == 1:
            found[number] = tables[place + 17]
        place += 17 + sum(tables[place + 1 : place + 17])
    return found
