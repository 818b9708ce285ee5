"""Random changes of images: what each does, how it is drawn, and that draws are reproducible."""

import math

import pytest
import torch
import torch.nn.functional as F

from osr_core.data.augment import augment as by_draw
from osr_core.data.augment import (
    draw_changes,
    move,
    no_changes,
    rotate,
    stretch,
)
from osr_core.recipes import Augmentation
from osr_core.vision import torchvision

EVERYTHING = Augmentation(rotation=10.0, scale=0.8, crop_padding=4, flip=True)
SOME = {
    "rotation": Augmentation(rotation=10.0),
    "scale": Augmentation(scale=0.8),
    "crop": Augmentation(crop_padding=4),
    "flip": Augmentation(flip=True),
    "crop and flip": Augmentation(crop_padding=4, flip=True),
    "all but crop": Augmentation(rotation=10.0, scale=0.8, flip=True),
    "everything": EVERYTHING,
}
TF = torchvision.transforms.functional
BILINEAR = torchvision.transforms.InterpolationMode.BILINEAR


def seeded(seed=0):
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def augment(images, changes, generator):
    """Images after a draw of their own each."""
    draw = torch.stack(draw_changes(len(images), *images.shape[2:], changes, generator))
    return by_draw(images, draw.to(images.device), changes)


def pictures(num=5, channels=3, size=12):
    """Images in [0, 1], channels_last as `Batches` gives them."""
    images = torch.rand(num, channels, size, size, generator=seeded(7))
    return images.contiguous(memory_format=torch.channels_last)


def each(*values):
    """One value for each image."""
    return torch.tensor(values, dtype=torch.float32)


# -- meaning -------------------------------------------------------------------------------------


def test_a_window_moves_pixels_exactly_and_fills_with_black():
    """Against slices of the padded image; no value is mixed."""
    images = pictures(3)
    draw = no_changes(3, 12, 12)._replace(down=each(0, 2, 4), right=each(4, 2, 1))
    padded = F.pad(images, (2, 2, 2, 2))
    expected = [
        padded[row, :, down : down + 12, right : right + 12]
        for row, (down, right) in enumerate([(0, 4), (2, 2), (4, 1)])
    ]
    assert torch.equal(move(images, draw, 2), torch.stack(expected))


def test_a_window_in_the_middle_is_the_image():
    """Both offsets equal to the padding."""
    images = pictures(2)
    draw = no_changes(2, 12, 12)._replace(down=each(4, 4), right=each(4, 4))
    assert torch.equal(move(images, draw, 4), images)


def test_a_flip_mirrors_exactly():
    """Left becomes right, for the chosen images only."""
    images = pictures(2)
    flipped = move(images, no_changes(2, 12, 12)._replace(flip=each(1, 0)), 0)
    assert torch.equal(flipped, torch.stack((images[0].flip(2), images[1])))


def test_changes_of_nothing_change_nothing():
    """No blur and no dark border by a half-pixel mistake."""
    images = pictures()
    assert torch.allclose(stretch(images, no_changes(5, 12, 12)), images, atol=1e-6)
    assert torch.equal(rotate(images, torch.zeros(5)), images)


@pytest.mark.parametrize("angle", [-170.0, -20.0, 7.5, 45.0, 90.0])
@pytest.mark.parametrize("size", [11, 32])
def test_rotation_is_that_of_the_authors_of_cac(angle, size):
    """PIL's by way of torchvision: counter-clockwise, nearest neighbour, black from outside."""
    images = (pictures(2, size=size) * 255).round() / 255
    turned = rotate(images, each(angle, 0))
    expected = TF.rotate(TF.to_pil_image(images[0]), angle)
    differs = (turned[0] != TF.to_tensor(expected)).any(0)
    assert differs.float().mean() <= 0.002  # where PIL's positions of 16 bits fall on an edge
    assert torch.equal(turned[1], images[1])


def test_a_quarter_turn_is_exact():
    """Checked without any library's sign convention: what was on top comes to the left."""
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 0] = 1
    expected = torch.zeros(1, 1, 5, 5)
    expected[0, 0, :, 0] = 1
    assert torch.equal(rotate(image, each(90)), expected)


def test_as_much_is_black_as_in_the_chain_of_the_authors_of_cac():
    """Crop, flip, then rotate: a rotation before the crop left half as many black pixels."""
    changes = Augmentation(rotation=10.0, scale=0.8, flip=True)
    ours = (augment(torch.ones(2000, 1, 32, 32), changes, seeded()) == 0).float().mean().item()
    chain = torchvision.transforms.Compose(
        [
            torchvision.transforms.RandomResizedCrop(32, scale=(0.8, 1.0)),
            torchvision.transforms.RandomHorizontalFlip(0.5),
            torchvision.transforms.RandomRotation(10),
            torchvision.transforms.ToTensor(),
        ]
    )
    white = TF.to_pil_image(torch.ones(1, 32, 32))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.stack([chain(white) for _ in range(2000)])
    assert ours == pytest.approx((theirs == 0).float().mean().item(), rel=0.05)


@pytest.mark.parametrize("box", [(0, 0, 12, 12), (2, 3, 7, 5), (0, 7, 9, 5), (5, 0, 7, 12)])
def test_a_box_is_stretched_as_torchvision_does(box):
    """Bilinear, the box's border repeated, also where it is the image's border."""
    images = pictures(1)
    top, left, height, width = box
    draw = no_changes(1, 12, 12)._replace(
        top=each(top), left=each(left), height=each(height), width=each(width)
    )
    expected = TF.resized_crop(images, *box, [12, 12], BILINEAR, antialias=False)
    assert torch.allclose(stretch(images, draw), expected, atol=1e-5)


def test_a_flip_comes_after_the_window():
    """By hand: a picture moved right and then mirrored lies left."""
    image = torch.zeros(1, 1, 4, 4)
    image[..., 3] = 1
    draw = no_changes(1, 4, 4)._replace(down=each(1), right=each(2), flip=each(1))
    expected = torch.zeros(1, 1, 4, 4)
    expected[..., 1] = 1  # column 3 moves to 2, and is mirrored to 1
    assert torch.equal(move(image, draw, 1), expected)


def test_everything_is_the_changes_one_after_the_other():
    """`augment` joins crop, window, flip and rotation in the documented order."""
    images = pictures()
    draw = draw_changes(5, 12, 12, EVERYTHING, seeded())
    moved = move(stretch(images, draw), draw._replace(flip=torch.zeros(5)), 4)
    flipped = torch.where(draw.flip[:, None, None, None] > 0, moved.flip(3), moved)
    assert torch.equal(augment(images, EVERYTHING, seeded()), rotate(flipped, draw.angle))


# -- draws ---------------------------------------------------------------------------------------


def test_nothing_set_returns_the_input():
    """And draws nothing, so that the order of the epoch does not depend on it."""
    images, generator = pictures(), seeded()
    before = generator.get_state()
    assert augment(images, Augmentation(), generator) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("changes", SOME.values(), ids=SOME.keys())
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_range_and_memory_format_are_kept(changes, channels):
    """The network is channels_last; values stay in [0, 1]."""
    images = pictures(channels=channels)
    after = augment(images, changes, seeded())
    assert after.shape == images.shape
    assert after.is_contiguous(memory_format=torch.channels_last)
    assert after.min() >= 0
    assert after.max() <= 1 + 1e-6


@pytest.mark.parametrize("changes", SOME.values(), ids=SOME.keys())
def test_the_generator_decides(changes):
    """Same seed, same changes, whatever the global generator; another seed, others."""
    images = pictures(20)
    first = augment(images, changes, seeded(1))
    torch.rand(3)
    assert torch.equal(augment(images, changes, seeded(1)), first)
    assert not torch.equal(augment(images, changes, seeded(2)), first)


@pytest.mark.parametrize("changes", SOME.values(), ids=SOME.keys())
def test_each_image_has_its_own_draw(changes):
    """One picture, twenty times: not all come out alike."""
    images = pictures(1).expand(20, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    assert len(augment(images, changes, seeded()).unique(dim=0)) > 1


def test_angles_are_uniform_between_the_limits():
    """Mean 0, standard deviation r / sqrt(3)."""
    angle = draw_changes(20000, 32, 32, Augmentation(rotation=30.0), seeded()).angle
    assert angle.abs().max() <= 30
    assert angle.mean().item() == pytest.approx(0, abs=0.5)
    assert angle.std().item() == pytest.approx(30 / math.sqrt(3), rel=0.02)


def test_windows_are_uniform_over_all_places():
    """0, 1, ... 2p, down and right independently."""
    draw = draw_changes(9000, 32, 32, Augmentation(crop_padding=1), seeded())
    places = (draw.down * 3 + draw.right).long().bincount(minlength=9)
    assert places.sum() == 9000
    assert (places - 1000).abs().max() < 150


def test_flips_are_fair():
    """10,000 draws: standard deviation 0.5 %."""
    flip = draw_changes(10000, 32, 32, Augmentation(flip=True), seeded()).flip
    assert flip.mean().item() == pytest.approx(0.5, abs=0.02)


def test_boxes_follow_torchvision_s_rule():
    """The same distribution of heights, widths and places, by the means of 4,000 draws."""
    changes = Augmentation(scale=0.3)
    draw = draw_changes(4000, 32, 32, changes, seeded())
    ours = torch.stack((draw.top, draw.left, draw.height, draw.width), 1)
    image = torch.zeros(3, 32, 32)
    get = torchvision.transforms.RandomResizedCrop.get_params
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.tensor([get(image, (0.3, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)]).float()
    assert torch.allclose(ours.mean(0), theirs.mean(0), atol=0.35)
    assert torch.allclose(ours.std(0), theirs.std(0), atol=0.35)
    assert (theirs[:, 2:].prod(1) / 1024).mean().item() == pytest.approx(
        (ours[:, 2:].prod(1) / 1024).mean().item(), abs=0.01
    )


def test_boxes_lie_inside_the_image():
    """In whole pixels, at least one of them, area and aspect in their ranges but for rounding."""
    draw = draw_changes(5000, 32, 32, Augmentation(scale=0.1), seeded())
    for start, length in ((draw.top, draw.height), (draw.left, draw.width)):
        assert torch.equal(start, start.round())
        assert torch.equal(length, length.round())
        assert start.min() == 0
        assert length.min() >= 1
        assert (start + length).max() == 32
    assert (draw.height * draw.width / 1024).min() > 0.08
    aspect = (draw.width / draw.height).log()
    assert aspect.abs().max() < math.log(4 / 3) + 0.12


def test_a_box_that_never_fits_is_the_whole_image():
    """On a strip no aspect near 1 has nearly the strip's area."""
    draw = draw_changes(50, 4, 400, Augmentation(scale=0.99), seeded())
    assert set(draw.height.tolist()) == {4.0}
    assert set(draw.width.tolist()) == {400.0}


def test_rotation_does_not_brighten_and_scale_keeps_the_mean():
    """White pictures: a rotation loses corners, a crop loses nothing, a window its black border."""
    white = torch.ones(400, 1, 32, 32)
    rotated = augment(white, Augmentation(rotation=45.0), seeded())
    assert 0.85 < rotated.mean() < 0.97
    assert augment(white, Augmentation(scale=0.5), seeded()).mean() == pytest.approx(1, abs=1e-5)
    windowed = augment(white, Augmentation(crop_padding=4), seeded()).mean().item()
    inside = 1 - (20 / 9) / 32  # mean |offset - 4| over 0..8 is 20/9 rows of 32
    assert windowed == pytest.approx(inside**2, abs=0.01)


def test_changes_are_the_same_wherever_the_images_lie():
    """The draw is made on the CPU; here the device that computes no values stands for a GPU."""
    images, generator = pictures(), seeded()
    augment(images, EVERYTHING, generator)
    elsewhere = seeded()
    augment(images.to("meta"), EVERYTHING, elsewhere)
    assert torch.equal(generator.get_state(), elsewhere.get_state())
