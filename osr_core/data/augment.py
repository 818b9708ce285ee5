"""Random changes of training images, a batch at a time, on the device where the images lie.

RandAugment comes first (randaugment.py). Rotation, resized crop and flip are one resampling; a
padded crop (and a flip, where nothing is resampled) only moves pixels. Random numbers come from a
CPU generator in every case, so that a GPU sees the changes that a CPU sees.

    rotation      angle ~ U(-r, r) about the centre, what comes from outside is black
    scale         a box of area ~ U(s, 1) and log aspect ~ U(log 3/4, log 4/3), in whole pixels,
                  stretched to the full size
    crop_padding  a window at one of (2p + 1)^2 equally likely places of the image with p black
                  pixels around it
    flip          left to right, p = 1/2

Bilinear, once: two changes in a row are not resampled twice, which is where this differs from a
chain of torchvision's RandomRotation and RandomResizedCrop (Inception's rule; Szegedy et al., CVPR
2015).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from osr_core.data.randaugment import randaugment
from osr_core.recipes import Augmentation

ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10  # boxes tried for each image before the whole image is taken
NOTHING = Augmentation()


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


def augment(images: Tensor, changes: Augmentation, generator: torch.Generator) -> Tensor:
    """`images` (B, C, H, W), floats in [0, 1], each changed by its own draw from `generator` (CPU).

    The result is channels_last. With nothing to change it is `images` itself, and nothing is drawn.
    """
    if changes == NOTHING:
        return images
    if changes.randaugment_ops > 0:
        images = randaugment(
            images,
            num_ops=changes.randaugment_ops,
            magnitude=changes.randaugment_magnitude,
            moves=changes.randaugment_moves,
            generator=generator,
        )
    num, _, height, width = images.shape
    draw = draw_changes(num, height, width, changes, generator)
    draw = Draw(*torch.stack(draw).to(images.device))  # one small copy
    padding = changes.crop_padding
    if changes.rotation == 0 and changes.scale == 1:
        return move(images, draw, padding)
    if padding == 0:
        return resample(images, draw)
    resampled = resample(images, draw._replace(flip=torch.zeros_like(draw.flip)))
    return move(resampled, draw, padding)


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


def resample(images: Tensor, draw: Draw) -> Tensor:
    """Rotate, stretch the box to the full size, mirror: one bilinear reading of `images`.

    Beyond a box's border its border is repeated; what lies outside the image is black.
    """
    height, width = images.shape[2:]
    y = _read_at(height, draw.height, draw.top) - (height - 1) / 2
    x = _read_at(width, draw.width, draw.left) - (width - 1) / 2
    x = torch.where(draw.flip[:, None] > 0, x.flip(1), x)
    y, x = y[:, :, None], x[:, None, :]
    radians = torch.deg2rad(draw.angle)[:, None, None]
    cos, sin = radians.cos(), radians.sin()
    # content turned counter-clockwise is read clockwise; y points down; (-1, 1) spans the image
    across, along = 2 / width, 2 / height
    source_x = cos * x * across - sin * y * across
    source_y = sin * x * along + cos * y * along
    grid = torch.stack((source_x, source_y), 3)
    sampled = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
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
