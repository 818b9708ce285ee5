"""Image files: what is decoded how, and how each refusal is worded."""

import io

import numpy as np
import pytest
from data_files import noise, png
from PIL import Image, ImageOps

from osr_core.data import encoded
from osr_core.data.encoded import decode_exact, decode_square
from osr_core.errors import DataError

UPSIDE_DOWN = 3  # EXIF's number for an image to be turned by half
ORIENTATION = 0x0112


def file_of(picture, kind, **how):
    """An encoded file."""
    content = io.BytesIO()
    picture.save(content, kind, **how)
    return content.getvalue()


def turned():
    """A JPEG file whose upper half is white and that says it was taken upside down."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = UPSIDE_DOWN
    return file_of(Image.fromarray(pixels), "JPEG", exif=exif)


def test_own_images_are_turned_as_their_exif_data_say():
    """A camera writes the sensor's rows, and beside them how it was held."""
    assert decode_square(turned(), 8, "x", own=True)[0].mean() < 50
    assert decode_square(turned(), 8, "x", own=True)[-1].mean() > 200


def test_published_images_are_read_as_everybody_reads_them():
    """ImageNet has some that are turned, in every published number."""
    assert decode_square(turned(), 8, "x")[0].mean() > 200


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_every_kind_gives_its_pixels(kind):
    """Whatever the ending says; these lose nothing."""
    pixels = noise(1, 8, 8, 3)[0]
    how = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(
        decode_exact(file_of(Image.fromarray(pixels), kind, **how), 8, "x"), pixels
    )


def test_a_strip_is_refused_before_it_is_scaled():
    """One of 1 x 170,000 pixels took 4 GB of memory, eight at once."""
    strip = file_of(Image.new("1", (1, 170_000)), "PNG")
    with pytest.raises(DataError, match="x: the image has 1 x 170000 pixels; no side may be"):
        decode_square(strip, 64, "x")


def test_transparency_is_dropped_without_a_word(recwarn):
    """Pillow advises to keep it, in a warning on the terminal."""
    pixels = Image.fromarray(noise(1, 8, 8, 3)[0]).convert("P")
    content = file_of(pixels, "PNG", transparency=bytes(range(256)))
    assert np.array_equal(decode_exact(content, 8, "x"), np.asarray(pixels.convert("RGB")))
    assert not recwarn.list


def test_of_several_pictures_in_a_jpeg_file_the_first_is_read():
    """Telephones keep a second one for depth."""
    first, second = (Image.new("RGB", (8, 8), (level,) * 3) for level in (200, 10))
    content = file_of(first, "MPO", save_all=True, append_images=[second])
    assert abs(decode_exact(content, 8, "x").astype(int) - 200).max() <= 2


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)], ids=["grey", "colour"])
def test_sixteen_bits_are_refused_grey_or_not(shape):
    """How they are to be scaled is not said in them, and half of each would be lost."""
    import struct
    import zlib

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    rows = np.arange(np.prod(shape), dtype=">u2").reshape(8, -1)
    colour = {2: 0, 3: 2}[len(shape)]
    header = struct.pack(">IIBBBBB", 8, 8, 16, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)
    with pytest.raises(DataError, match=r"16.* not one of .* with 8 bits a channel; convert it"):
        decode_exact(content + chunk(b"IEND", b""), 8, "x")


def test_a_large_picture_is_called_large(monkeypatch):
    """Not broken: scaling it down is what helps."""
    monkeypatch.setattr(encoded, "MOST_PIXELS", 60)
    with pytest.raises(DataError, match="x: the image has 8 x 8 pixels, more than 60; scale it do"):
        decode_exact(png(noise(1, 8, 8, 3)[0]), 8, "x")


def test_a_picture_of_180_megapixels_is_no_attack(recwarn):
    """Pillow warns of half as many and refuses these; the limit is ours, and in words."""
    content = file_of(Image.new("1", (10_000, 9_500)), "PNG")
    assert decode_square(content, 8, "x").shape == (8, 8, 3)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"GIF87a no", "it begins with the bytes 47 49 46"),
        (file_of(Image.new("RGB", (8, 8)), "GIF"), "is a GIF file; save it as one of PNG"),
        (b"<html>not found</html>", "it begins with the bytes 3c 68"),
    ],
    ids=["empty", "cut", "other kind", "page"],
)
def test_what_is_no_image_is_told_by_what_it_is(content, message):
    """Never by the name of a buffer in Python."""
    with pytest.raises(DataError, match=f"x: the image.* {message}") as error:
        decode_exact(content, 8, "x")
    assert "BytesIO" not in str(error.value)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_a_file_of_several_pictures_is_refused(kind):
    """Which of them is meant is not said."""
    first, second = (Image.new("RGB", (8, 8), (level,) * 3) for level in (200, 10))
    content = file_of(first, kind, save_all=True, append_images=[second])
    with pytest.raises(DataError, match="x: the file holds 2 pictures; save the one that is meant"):
        decode_exact(content, 8, "x")


def test_damaged_exif_data_leave_the_picture_as_it_is(recwarn):
    """The pixels are whole, whatever a library raises about the rest."""
    content = bytearray(turned())
    start = content.index(b"Exif")
    drawn = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for place in drawn.integers(start + 6, start + 32, 4):
            damaged[place] = drawn.integers(256)
        assert decode_square(bytes(damaged), 8, "x", own=True).shape == (8, 8, 3)


@pytest.mark.parametrize("tag", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tag):
    """All eight ways of holding a camera."""
    picture = Image.fromarray(noise(1, 16, 16, 3)[0])
    exif = Image.Exif()
    exif[ORIENTATION] = tag
    content = file_of(picture, "PNG", exif=exif)
    with Image.open(io.BytesIO(content)) as read:
        expected = ImageOps.exif_transpose(read).convert("RGB")
    plain = decode_square(file_of(expected, "PNG"), 8, "x")
    assert np.array_equal(decode_square(content, 8, "x", own=True), plain)


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"optimize": True}, {"quality": 95}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_own_jpeg_files_whose_second_half_is_lost_are_refused(how, mode):
    """Their decoder fills the rest with grey and says nothing; a whole file stays accepted."""
    rows, columns = np.mgrid[:160, :160]
    pixels = np.stack([rows * columns // 40, rows, columns], 2).astype(np.uint8)
    whole = file_of(Image.fromarray(pixels).convert(mode), "JPEG", **how)
    half = len(whole) // 2
    end = whole[-2:]
    noisy = whole[:half] + np.random.default_rng(0).bytes(half)
    for broken in (whole[:half] + bytes(half), noisy, whole[:half] + end, whole[:-2]):
        with pytest.raises(DataError, match="x: the image is broken"):
            decode_square(broken, 8, "x", own=True)
    assert decode_square(whole + bytes(99), 8, "x", own=True).shape == (8, 8, 3)


@pytest.mark.parametrize("how", [{}, {"optimize": True}, {"restart_marker_blocks": 40}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_own_jpeg_files_with_zeros_inside_are_refused(how, mode):
    """Zeros are code too: their decoder makes patterns of them, and goes on with what comes after.

    It notices nothing, since the end of the picture's data is there.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    smooth = Image.fromarray(pixels).resize((320, 320), Image.Resampling.BICUBIC).convert(mode)
    whole = file_of(smooth, "JPEG", **how)
    assert decode_square(whole, 8, "x", own=True).shape == (8, 8, 3)
    third = len(whole) // 3
    broken = whole[:third] + bytes(1024) + whole[third + 1024 :]
    with Image.open(io.BytesIO(broken)) as read:
        read.load()
    with pytest.raises(DataError, match="x: the image is broken: a stretch of its data is all zer"):
        decode_square(broken, 8, "x", own=True)


@pytest.mark.parametrize("level", [0, 6])
@pytest.mark.parametrize("damage", [bytes(1024), bytes(range(256)) * 4], ids=["zeros", "noise"])
def test_own_png_files_with_damage_inside_are_refused(level, damage):
    """To ask for EXIF data decodes the picture; what that raised was taken for damaged EXIF data.

    The rest of the picture was black then. Uncompressed data can be decoded whatever they are.
    """
    whole = file_of(Image.fromarray(noise(1, 160, 160, 3)[0]), "PNG", compress_level=level)
    third = len(whole) // 3
    with pytest.raises(DataError, match="x: the image is broken"):
        decode_square(whole[:third] + damage + whole[third + 1024 :], 8, "x", own=True)
    flipped = whole[:third] + bytes([whole[third] ^ 1]) + whole[third + 1 :]
    with pytest.raises(DataError, match="x: the image is broken"):
        decode_square(flipped, 8, "x", own=True)
    assert decode_square(whole, 8, "x", own=True).shape == (8, 8, 3)


@pytest.mark.parametrize("where", ["before the end", "after it", "in a segment"])
def test_zeros_beside_a_jpeg_files_data_do_no_harm(where):
    """Cameras fill sectors up before the marker of the end, and makers' notes hold anything."""
    whole = file_of(Image.fromarray(noise(1, 64, 64, 3)[0]), "JPEG", comment=b"")
    padded = {
        "before the end": whole[:-2] + bytes(2048) + whole[-2:],
        "after it": whole + bytes(2048),
        "in a segment": whole[:2] + b"\xff\xef\x08\x02" + bytes(2048) + whole[2:],
    }
    assert decode_square(padded[where], 8, "x", own=True).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "how", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 1}]
)
@pytest.mark.parametrize("side", [1, 7, 64, 2000])
def test_flat_jpeg_files_are_whole(how, side):
    """One grey fills what is missing, and may be what was photographed."""
    flat = file_of(Image.new("RGB", (side, side), (128, 128, 128)), "JPEG", **how)
    assert (decode_square(flat, 8, "x", own=True) == 128).all()
