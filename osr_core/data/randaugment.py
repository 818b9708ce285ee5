"""RandAugment: N operations for each image, each drawn from a list, all of one strength M.

A batch at a time on the device where the images lie. Every image draws its own operations; images
that drew the same one are changed together. An operation of range [low, high] has the strength
v = low + (high - low) M / 30:

    auto_contrast, equalize, invert              no strength
    posterize      0 .. 4      bits kept, whole and at least 1
    solarize       0 .. 256    values from v on are inverted
    solarize_add   0 .. 110    v is added, then values from 128 on are inverted
    color, contrast, brightness, sharpness  0.1 .. 1.9   from nothing to the double; 1 changes none
    shear_x, shear_y  0 .. 0.3  pixels per pixel, either way
    cutout         0 .. 40     side of a grey square, pixels
    rotate         0 .. 30     degrees, either way                 } `moves`: not for digits, which
    translate_x, translate_y  0 .. 100   pixels, either way        } must keep their place

Source: Cubuk et al., "RandAugment", NeurIPS 2020; the list, the ranges and M of 30 are those of
Vaze et al., ICLR 2022. So a larger M posterizes and solarizes less, and moves pixels further.

Values are whole levels 0 .. 255 throughout and rounded as PIL rounds them, positions are read
without interpolation and outside is black, also as PIL does. Deviations: images are changed at the
size at which the network sees them, not before they are resized; the square's centre is uniform
over the image; auto_contrast divides exactly, where PIL is one level lower for a few values.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from osr_core.data.to_device import constant, to_device

LUMINANCE = (19595, 38470, 7471)  # red, green, blue in 65536, PIL's
SQUARE = (125, 123, 114)  # colour of a cutout


class Chance(NamedTuple):
    """What B images drew beside their operation; each (B, 1, 1)."""

    sign: Tensor  # 1 or -1
    x: Tensor  # in [0, 1)
    y: Tensor


# -- levels: (B, C, H, W) floats that are whole numbers 0 to 255, and a strength -------------------


def auto_contrast(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Each channel stretched to 0 .. 255; one of a single value stays."""
    low, high = levels.amin((2, 3), keepdim=True), levels.amax((2, 3), keepdim=True)
    stretched = ((levels - low) * 255 / (high - low).clamp(min=1)).floor()
    return torch.where(high > low, stretched, levels)


def equalize(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Each channel's histogram made flat: PIL's table, from cumulative counts."""
    planes = levels.flatten(2).long()
    counts = planes.new_zeros(*planes.shape[:2], 256)
    counts.scatter_add_(2, planes, torch.ones_like(planes))
    brightest = counts.gather(2, planes.amax(2, keepdim=True))
    step = (planes.shape[2] - brightest) // 255
    table = ((counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)).clamp(max=255)
    table = torch.where(step > 0, table, torch.arange(256, device=levels.device))
    return table.gather(2, planes).view_as(levels).to(levels.dtype)


def invert(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Bright becomes dark."""
    return 255 - levels


def posterize(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Only the highest bits are kept."""
    step = 2.0 ** (8 - max(1, int(strength)))
    return (levels / step).floor() * step


def solarize(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Bright values are inverted."""
    return torch.where(levels < strength, levels, 255 - levels)


def solarize_add(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Brighter, and what is bright then inverted."""
    return solarize((levels + strength).floor().clamp(max=255), 128, chance)


def color(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Towards grey (below 1) or away from it."""
    return blend(luminance(levels), levels, strength)


def contrast(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Towards the mean luminance or away from it."""
    mean = (luminance(levels).mean((1, 2, 3), keepdim=True) + 0.5).floor()
    return blend(mean, levels, strength)


def brightness(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Towards black or away from it."""
    return blend(torch.zeros_like(levels), levels, strength)


def sharpness(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Towards the mean of 3 x 3 pixels, the middle one five times, or away; the border stays."""
    smooth = levels.clone()
    around = F.avg_pool2d(levels, 3, stride=1, divisor_override=1)
    smooth[:, :, 1:-1, 1:-1] = ((around + 4 * levels[:, :, 1:-1, 1:-1]) / 13).round()
    return blend(smooth, levels, strength)


def cutout(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """A square; one that would begin outside begins at the border, one that ends there is cut."""
    row, column = positions(levels)
    top = (chance.y * levels.shape[2] - strength / 2).clamp(min=0).floor()
    left = (chance.x * levels.shape[3] - strength / 2).clamp(min=0).floor()
    inside = (row > top) & (row < top + int(strength) + 1)
    inside = inside & (column > left) & (column < left + int(strength) + 1)
    colour = constant(SQUARE, levels.device)[None, :, None, None]
    colour = colour if levels.shape[1] == 3 else luminance(colour)
    return torch.where(inside[:, None], colour, levels)


def shear_x(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Rows pushed sideways, the further the lower."""
    row, column = positions(levels)
    return read_nearest(levels, row, column + chance.sign * strength * row)


def shear_y(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Columns pushed up or down, the further the more to the right."""
    row, column = positions(levels)
    return read_nearest(levels, row + chance.sign * strength * column, column)


def translate_x(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Sideways."""
    row, column = positions(levels)
    return read_nearest(levels, row, column + chance.sign * strength)


def translate_y(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """Up or down."""
    row, column = positions(levels)
    return read_nearest(levels, row + chance.sign * strength, column)


def rotate(levels: Tensor, strength: float, chance: Chance) -> Tensor:
    """About the centre; counter-clockwise where the sign is 1."""
    row, column = positions(levels)
    cy, cx = levels.shape[2] / 2, levels.shape[3] / 2
    cos, sin = math.cos(math.radians(strength)), chance.sign * math.sin(math.radians(strength))
    y, x = row - cy, column - cx
    return read_nearest(levels, sin * x + cos * y + cy, cos * x - sin * y + cx)


# -- what they share -------------------------------------------------------------------------------


def luminance(levels: Tensor) -> Tensor:
    """(B, 1, H, W) grey levels; grey images are their own."""
    if levels.shape[1] == 1:
        return levels
    weights = constant(LUMINANCE, levels.device)[:, None, None]
    return (((levels * weights).sum(1, keepdim=True) + 32768) / 65536).floor()


def blend(other: Tensor, levels: Tensor, strength: float) -> Tensor:
    """`other` at 0, `levels` at 1, beyond them above; cut off, not rounded."""
    return (other + strength * (levels - other)).clamp(0, 255).floor()


def positions(levels: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of the pixels, (H, 1) rows and (1, W) columns; the corner of the image is 0, 0."""
    height, width = levels.shape[2:]
    row = torch.arange(height, device=levels.device) + 0.5
    column = torch.arange(width, device=levels.device) + 0.5
    return row[:, None], column[None]


def read_nearest(levels: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The pixels in which the positions lie, broadcast to (B, H, W); black outside."""
    num, channels, height, width = levels.shape
    row, column = row.floor().long(), column.floor().long()
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    image = torch.arange(num, device=levels.device)[:, None, None] * (height * width)
    place = image + row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    pixels = levels.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, place.flatten())
    return pixels.view(num, height, width, channels).permute(0, 3, 1, 2) * inside[:, None]


# -- the list and the draw -------------------------------------------------------------------------

Operation = Callable[[Tensor, float, Chance], Tensor]
IN_PLACE: dict[Operation, tuple[float, float]] = {
    auto_contrast: (0, 0),
    equalize: (0, 0),
    invert: (0, 0),
    posterize: (0, 4),
    solarize: (0, 256),
    solarize_add: (0, 110),
    color: (0.1, 1.9),
    contrast: (0.1, 1.9),
    brightness: (0.1, 1.9),
    sharpness: (0.1, 1.9),
    shear_x: (0, 0.3),
    shear_y: (0, 0.3),
    cutout: (0, 40),
}
MOVES: dict[Operation, tuple[float, float]] = {
    rotate: (0, 30),
    translate_x: (0, 100),
    translate_y: (0, 100),
}


def randaugment(
    images: Tensor,
    *,
    num_ops: int,
    magnitude: int,
    moves: bool,
    generator: torch.Generator,
    part: tuple[int, slice] | None = None,
) -> Tensor:
    """`images` (B, C, H, W), floats in [0, 1], after `num_ops` operations each.

    Draws come from `generator` (CPU). `part` says of how many images these are which: draws are
    made for all of them. The result is channels_last, its values multiples of 1/255.
    """
    num, own = part or (len(images), slice(None))
    ranges = IN_PLACE | MOVES if moves else IN_PLACE
    levels = (images * 255).round().contiguous(memory_format=torch.channels_last)
    for _ in range(num_ops):
        drawn = torch.randint(len(ranges), (num,), generator=generator)[own]
        sign, x, y = torch.rand(3, num, generator=generator)[:, own]
        chances = to_device(torch.stack((torch.where(sign < 0.5, -1.0, 1.0), x, y)), images.device)
        order, counts = drawn.argsort(stable=True), drawn.bincount(minlength=len(ranges))
        groups = torch.split(to_device(order, images.device), counts.tolist())
        for group, (operation, (low, high)) in zip(groups, ranges.items(), strict=True):
            if len(group) > 0:
                chance = Chance(*chances[:, group, None, None])
                strength = low + (high - low) * magnitude / 30
                levels[group] = operation(levels[group], strength, chance)
    return levels / 255
