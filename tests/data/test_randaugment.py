"""RandAugment: each operation against PIL and torchvision, and how operations are drawn."""

import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from osr_core.data import randaugment as ra
from osr_core.data.augment import draw_changes, move
from osr_core.data.batches import Batches
from osr_core.data.imageset import ImageSet
from osr_core.data.randaugment import IN_PLACE, MOVES, Chance, randaugment
from osr_core.recipes import Augmentation
from osr_core.vision import torchvision

TF = torchvision.transforms.functional
EVERY = IN_PLACE | MOVES
ALL = pytest.mark.parametrize("operation", EVERY, ids=[op.__name__ for op in EVERY])
MAGNITUDES = pytest.mark.parametrize("magnitude", [3, 6, 9, 18, 27])
CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def seeded(seed=0):
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def pictures(num=6, channels=3, size=32):
    """Levels 0 to 255 with structure: smooth, noisy, of few values, and of one."""
    noise = torch.rand(num, channels, size, size, generator=seeded(7))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)
    levels = (smooth * 200 + 20).round()
    levels[1] = (noise[1] * 255).round()
    levels[2] = (noise[2] * 3).round() * 60
    levels[3] = 77
    return levels.contiguous(memory_format=torch.channels_last)


def strength_of(operation, magnitude):
    """M / 30 of the operation's range."""
    low, high = EVERY[operation]
    return low + (high - low) * magnitude / 30


def chances(num, sign=1.0, x=0.3, y=0.6):
    """The same draw for every image."""
    return Chance(*(torch.full((num, 1, 1), value) for value in (sign, x, y)))


def by_pil(levels, change):
    """Each image through PIL."""
    out = []
    for image in levels.to(torch.uint8):
        picture = TF.to_pil_image(image)
        out.append(TF.pil_to_tensor(change(picture)))
    return torch.stack(out).float()


def pil_affine(*matrix):
    """What PIL reads at each pixel: x' = a x + b y + c, y' = d x + e y + f, without mixing."""
    return lambda picture: picture.transform(picture.size, Image.Transform.AFFINE, matrix)


def pil_square(strength, x, y):
    """The square of `cutout`, its far border belonging to it."""

    def change(picture):
        width, height = picture.size
        left, top = (int(max(0, p * n - strength / 2)) for p, n in ((x, width), (y, height)))
        box = (left, top, min(width, left + strength), min(height, top + strength))
        ImageDraw.Draw(picture).rectangle(box, (125, 123, 114) if picture.mode == "RGB" else 123)
        return picture

    return change


def pil_solarize_add(strength):
    """Brighter, cut at 255, inverted from 128 on."""
    added = [min(255, int(level + strength)) for level in range(256)]
    return lambda p: ImageOps.solarize(p.point(added * len(p.getbands())), 128)


def in_pil(operation, v, sign):
    """The operation as PIL does it."""
    return {
        ra.auto_contrast: ImageOps.autocontrast,
        ra.equalize: ImageOps.equalize,
        ra.invert: ImageOps.invert,
        ra.posterize: lambda p: ImageOps.posterize(p, max(1, int(v))),
        ra.solarize: lambda p: ImageOps.solarize(p, v),
        ra.solarize_add: pil_solarize_add(v),
        ra.color: lambda p: ImageEnhance.Color(p).enhance(v),
        ra.contrast: lambda p: ImageEnhance.Contrast(p).enhance(v),
        ra.brightness: lambda p: ImageEnhance.Brightness(p).enhance(v),
        ra.sharpness: lambda p: ImageEnhance.Sharpness(p).enhance(v),
        ra.shear_x: pil_affine(1, sign * v, 0, 0, 1, 0),
        ra.shear_y: pil_affine(1, 0, 0, sign * v, 1, 0),
        ra.cutout: pil_square(v, 0.3, 0.6),
        ra.rotate: lambda p: p.rotate(sign * v),
        ra.translate_x: pil_affine(1, 0, sign * v, 0, 1, 0),
        ra.translate_y: pil_affine(1, 0, 0, 0, 1, sign * v),
    }[operation]


# -- meaning -------------------------------------------------------------------------------------


@ALL
@MAGNITUDES
@CHANNELS
def test_an_operation_is_pils(operation, magnitude, channels):
    """Level for level: the published numbers were reached with PIL's operations.

    But for auto_contrast, whose quotients PIL rounds twice. No M here is a multiple of 4, with
    which a shear can hit the border between two pixels exactly; either is right then.
    """
    levels = pictures(channels=channels)
    v = strength_of(operation, magnitude)
    for sign in (1.0, -1.0):
        changed = operation(levels, v, chances(6, sign))
        expected = by_pil(levels, in_pil(operation, v, sign))
        if operation is ra.auto_contrast:
            assert (changed - expected).abs().max() <= 1
            assert (changed != expected).float().mean() < 0.02
        else:
            assert torch.equal(changed, expected)


@MAGNITUDES
@CHANNELS
def test_changes_of_levels_are_torchvisions(magnitude, channels):
    """Within one level on uint8: torchvision averages and weighs colours a little differently."""
    levels = pictures(channels=channels)
    small = levels.to(torch.uint8)
    v = {op: strength_of(op, magnitude) for op in EVERY}
    theirs = {
        ra.auto_contrast: TF.autocontrast(small),
        ra.equalize: TF.equalize(small),
        ra.invert: TF.invert(small),
        ra.posterize: TF.posterize(small, max(1, int(v[ra.posterize]))),
        ra.solarize: TF.solarize(small, v[ra.solarize]),
        ra.color: TF.adjust_saturation(small, v[ra.color]),
        ra.contrast: TF.adjust_contrast(small, v[ra.contrast]),
        ra.brightness: TF.adjust_brightness(small, v[ra.brightness]),
        ra.sharpness: TF.adjust_sharpness(small, v[ra.sharpness]),
    }
    for operation, expected in theirs.items():
        ours = operation(levels, v[operation], chances(6))
        assert (ours - expected.float()).abs().max() <= 1, operation.__name__


def test_a_quarter_of_a_pixel_per_pixel_shears_every_second_row_further():
    """By hand: rows 0 to 5 of width 6 are read 0.125, 0.375, 0.625, ... pixels to the right."""
    levels = torch.arange(6.0).expand(1, 1, 6, 6)
    sheared = ra.shear_x(levels, 0.25, chances(1))
    by = [0, 0, 1, 1, 1, 1]  # floor(0.5 + 0.25 (row + 0.5))
    expected = [[float(c + b) if c + b < 6 else 0.0 for c in range(6)] for b in by]
    assert sheared[0, 0].tolist() == expected


def test_a_quarter_turn_is_exact():
    """What was on top comes to the left; no pixel is lost."""
    levels = torch.zeros(1, 1, 5, 5)
    levels[0, 0, 0] = 9
    turned = ra.rotate(levels, 90, chances(1))
    expected = torch.zeros(1, 1, 5, 5)
    expected[0, 0, :, 0] = 9
    assert torch.equal(turned, expected)


def test_equalize_by_hand():
    """Half 10, half 20, of 1024: step (1024 - 512) / 255 = 2, so 20 becomes (512 + 1) / 2."""
    levels = torch.full((1, 1, 32, 32), 10.0)
    levels[..., 16:] = 20
    assert ra.equalize(levels, 0, chances(1)).unique().tolist() == [0, 255]
    levels[..., 16:] = 10
    levels[..., :8] = 5  # 256 of 5, 768 of 10: step 1, so 10 becomes 256, cut to 255
    assert ra.equalize(levels, 0, chances(1)).unique().tolist() == [0, 255]
    levels[..., 1:] = 10  # 32 of 5: less than a step
    assert torch.equal(ra.equalize(levels, 0, chances(1)), levels)


# -- draws ---------------------------------------------------------------------------------------


def images_of(levels):
    """Floats in [0, 1]."""
    return levels / 255


def one_by_one(levels, num_ops, magnitude, ranges, generator):
    """Each image by itself, with the draws that a batch takes."""
    out = [image[None] for image in levels]
    for _ in range(num_ops):
        drawn = torch.randint(len(ranges), (len(out),), generator=generator).tolist()
        sign, x, y = torch.rand(3, len(out), generator=generator).tolist()
        for i, number in enumerate(drawn):
            operation = list(ranges)[number]
            chance = chances(1, -1.0 if sign[i] < 0.5 else 1.0, x[i], y[i])
            out[i] = operation(out[i], strength_of(operation, magnitude), chance)
    return torch.cat(out)


@CHANNELS
@pytest.mark.parametrize("num_ops", [1, 2])
@pytest.mark.parametrize("moves", [True, False])
def test_each_image_is_changed_by_its_own_draws(num_ops, moves, channels):
    """Grouping by operation is for speed only, and without `moves` the list is the short one."""
    levels = pictures(60, channels=channels, size=20)
    changed = randaugment(
        images_of(levels), num_ops=num_ops, magnitude=6, moves=moves, generator=seeded()
    )
    ranges = EVERY if moves else IN_PLACE
    expected = one_by_one(levels, num_ops, 6, ranges, seeded())
    assert torch.equal((changed * 255).round(), expected)
    assert torch.allclose(changed * 255, expected, atol=1e-4)


def test_operations_are_equally_likely():
    """One in 16 of 3,200 is inverted: 200, standard deviation 14."""
    levels = pictures()[:1].expand(3200, -1, -1, -1)
    changed = randaugment(images_of(levels), num_ops=1, magnitude=6, moves=True, generator=seeded())
    inverted = ((changed * 255).round() == 255 - levels).all(3).all(2).all(1).sum()
    assert 150 < inverted < 250


@CHANNELS
def test_shape_range_and_memory_format_are_kept(channels):
    """As every change of images does."""
    images = images_of(pictures(40, channels=channels))
    changed = randaugment(images, num_ops=2, magnitude=9, moves=True, generator=seeded())
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.is_contiguous(memory_format=torch.channels_last)
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_the_images_given_are_not_written_to():
    """Batches of a data set in memory may be views of it."""
    images = images_of(pictures(40))
    before = images.clone()
    randaugment(images, num_ops=1, magnitude=6, moves=True, generator=seeded())
    assert torch.equal(images, before)


def trained_on(levels, changes):
    """What a fit gets of images, all of them in one batch, in their order."""
    images = ImageSet(levels.to(torch.uint8), torch.zeros(len(levels), dtype=torch.int64))
    batches = Batches(images, batch_size=len(levels), augmentation=changes)
    batch = batches.augmented(next(batches.shuffled(seeded())))
    return batch.images[batch.index.argsort()], batch.index


def test_it_comes_before_crop_and_flip():
    """As in the authors' code; the draws of the one follow those of the other."""
    levels, generator = pictures(40), seeded()
    changes = Augmentation(randaugment_ops=1, randaugment_moves=True, crop_padding=4, flip=True)
    order = torch.randperm(40, generator=generator)
    first = randaugment(
        images_of(levels)[order], num_ops=1, magnitude=6, moves=True, generator=generator
    )
    expected = move(first, draw_changes(40, 32, 32, changes, generator), 4)
    images, index = trained_on(levels, changes)
    assert torch.equal(images[order], expected)
    assert torch.equal(index, order)


def test_without_operations_the_other_draws_stay_as_they_were():
    """Results from before RandAugment existed must come out again."""
    levels = pictures(40)
    plain, _ = trained_on(levels, Augmentation(crop_padding=4))
    none = Augmentation(crop_padding=4, randaugment_magnitude=9, randaugment_moves=True)
    assert torch.equal(trained_on(levels, none)[0], plain)


def test_changes_are_the_same_wherever_the_images_lie():
    """Draws come from the CPU; the device that computes no values stands for a GPU."""
    images, here, elsewhere = images_of(pictures(40)), seeded(), seeded()
    settings = {"num_ops": 2, "magnitude": 6, "moves": True}
    randaugment(images, **settings, generator=here)
    changed = randaugment(images.to("meta"), **settings, generator=elsewhere)
    assert torch.equal(here.get_state(), elsewhere.get_state())
    assert changed.shape == images.shape
