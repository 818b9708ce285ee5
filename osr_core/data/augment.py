"""Random changes of training images, a batch at a time, on the device where the images lie.

RandAugment comes first (randaugment.py), then resized crop, padded crop, flip and rotation: the
order in the code of the papers that have them (Miller et al., WACV 2021: crop, flip, rotation;
Vaze et al., ICLR 2022: crop, flip). Random numbers come from a CPU generator in every case, so that
a GPU sees the changes that a CPU sees. They are drawn first; what is then done with them is the
same for all batches, so that a graph can hold it (graphs.py).

    scale         a box of area ~ U(s, 1) and log aspect ~ U(log 3/4, log 4/3), in whole pixels,
                  stretched to the full size, bilinear (Inception's rule; Szegedy et al., CVPR 2015)
    crop_padding  a window at one of (2p + 1)^2 equally likely places of the image with p black
                  pixels around it
    flip          left to right, p = 1/2
    rotation      angle ~ U(-r, r) about the centre, nearest neighbour, what comes from outside is
                  black: as torchvision does by default

Deviations: levels are not rounded to bytes after the stretching; PIL rounds positions to 1 / 65536
of a pixel, so that about one pixel in a thousand is the neighbour of the one that it takes.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from osr_core.recipes import Augmentation

ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10  # boxes tried for each image before the whole image is taken


class Draw(NamedTuple):
    """What happens to each of B images; tensors (B,) of floats, lengths in pixels."""

    angle: Tensor  # degrees, counter-clockwise
    top: Tensor  # the box that is stretched to the full size
    left: Tensor
    height: Tensor
    width: Tensor
    down: Tensor  # place of the window in the padded image, 0 to 2 * padding
    right: Tensor
    flip: Tensor  # 1 or 0


def augment(images: Tensor, draw: Tensor, augmentation: Augmentation) -> Tensor:
    """`images` (B, C, H, W), floats in [0, 1], each changed by its own of a `Draw`, (8, B).

    The result is channels_last. With nothing to change it is `images` itself.
    """
    each = Draw(*draw)
    if augmentation.scale < 1:
        images = stretch(images, each)
    if augmentation.crop_padding > 0 or augmentation.flip:
        images = move(images, each, augmentation.crop_padding)
    return rotate(images, each.angle) if augmentation.rotation > 0 else images


def no_changes(num: int, height: int, width: int) -> Draw:
    """The draw that leaves every image as it is, where there is no padding."""
    none = torch.zeros(num)
    return Draw(none, none, none, none + height, none + width, none, none, none)


def draw_changes(
    num: int, height: int, width: int, changes: Augmentation, generator: torch.Generator
) -> Draw:
    """A draw for each of `num` images; numbers are taken only for what `changes` asks for."""
    draw = no_changes(num, height, width)
    if changes.rotation > 0:
        turn = torch.rand(num, generator=generator) * 2 - 1
        draw = draw._replace(angle=turn * changes.rotation)
    if changes.scale < 1:
        draw = _draw_box(draw, height, width, changes.scale, generator)
    if changes.crop_padding > 0:
        places = 2 * changes.crop_padding + 1
        down, right = torch.randint(places, (2, num), generator=generator).float()
        draw = draw._replace(down=down, right=right)
    if changes.flip:
        draw = draw._replace(flip=(torch.rand(num, generator=generator) < 0.5).float())
    return draw


def _draw_box(
    draw: Draw, height: int, width: int, scale: float, generator: torch.Generator
) -> Draw:
    """The random resized crop: the first of ATTEMPTS boxes that fits, else the whole image."""
    num = len(draw.angle)
    area, aspect, top, left = torch.rand(4, num, ATTEMPTS, generator=generator)
    area = height * width * (scale + (1 - scale) * area)
    low, high = map(math.log, ASPECT)
    aspect = torch.exp(low + (high - low) * aspect)
    tall, wide = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    fits = (tall > 0) & (tall <= height) & (wide > 0) & (wide <= width)
    top, left = (top * (height - tall + 1)).floor(), (left * (width - wide + 1)).floor()
    boxes = torch.stack((top, left, tall, wide))[:, torch.arange(num), fits.int().argmax(1)]
    everything = torch.stack((draw.top, draw.left, draw.height, draw.width))
    top, left, tall, wide = torch.where(fits.any(1), boxes, everything)
    return draw._replace(top=top, left=left, height=tall, width=wide)


def stretch(images: Tensor, draw: Draw) -> Tensor:
    """The box at the full size, bilinear; beyond its border the border is repeated."""
    height, width = images.shape[2:]
    y, x = _read_at(height, draw.height, draw.top), _read_at(width, draw.width, draw.left)
    y, x = (2 * y + 1) / height - 1, (2 * x + 1) / width - 1  # (-1, 1) spans the image
    across, down = x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)
    grid = torch.stack((across, down), 3)
    sampled = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return sampled.contiguous(memory_format=torch.channels_last)


def _read_at(size: int, length: Tensor, start: Tensor) -> Tensor:
    """(B, size) pixel positions at which a box from `start` is read when stretched to `size`."""
    position = (torch.arange(size, device=length.device) + 0.5) * (length / size)[:, None] - 0.5
    return start[:, None] + torch.minimum(position.clamp(min=0), length[:, None] - 1)


def move(images: Tensor, draw: Draw, padding: int) -> Tensor:
    """The window at (down, right) of the images with `padding` black pixels around, then mirrored.

    down = right = padding leaves an image where it is. Values are copied, never mixed.
    """
    num, channels, height, width = images.shape
    padded = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    tall, wide = padded.shape[1:3]
    image, row, column = (torch.arange(n, device=images.device) for n in (num, height, width))
    rows = image[:, None] * tall + draw.down[:, None].long() + row
    columns = torch.where(draw.flip[:, None] > 0, column.flip(0), column)
    columns = draw.right[:, None].long() + columns
    pixels = (rows[:, :, None] * wide + columns[:, None, :]).flatten()
    moved = padded.reshape(-1, channels).index_select(0, pixels)
    return moved.view(num, height, width, channels).permute(0, 3, 1, 2)


def rotate(images: Tensor, angle: Tensor) -> Tensor:
    """Each image turned by its angle (B,), degrees counter-clockwise; pixels are copied."""
    num, channels, height, width = images.shape
    image, row, column = (torch.arange(n, device=images.device) for n in (num, height, width))
    y, x = (row - (height - 1) / 2)[:, None], column - (width - 1) / 2
    radians = torch.deg2rad(angle)[:, None, None]
    cos, sin = radians.cos(), radians.sin()
    # content turned counter-clockwise is read clockwise; y points down
    rows = (sin * x + cos * y + height / 2).floor().long()
    columns = (cos * x - sin * y + width / 2).floor().long()
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels = ((image[:, None, None] * height + rows) * width + columns).where(inside, 0).flatten()
    turned = images.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, pixels)
    turned = turned.view(num, height, width, channels) * inside[..., None]
    return turned.permute(0, 3, 1, 2)
