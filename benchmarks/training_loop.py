"""Images per second of our training loop and of a plain DataLoader-and-transforms loop.

Same network, same losses, same augmentation (crop with padding 4, flip), same optimiser, same
images, turn and turn about in one process. The plain loop gets the best of 0 and 2 loader workers.
On a GPU the plain loop computes in float32 (convolutions in TF32, as torch does by default) and
waits for each batch, as authors publish it. It embeds PMAL's prototypes once an epoch, ours every
ten steps.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.peaks import of_peak
from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.freed_memory import freed_memory_kept
from osr_core.methods import METHODS
from osr_core.methods.base import Method
from osr_core.recipes import Augmentation, Training
from osr_core.training import Fit

SIZE, CHANNELS, CLASSES, BATCH = 32, 3, 6, 128
ROUNDS = 5
ON_A_GPU = ("softmax", "cac", "arpl", "pmal")


def measure() -> list[dict[str, Any]]:
    """One row per width of Softmax's network; on a GPU per method, and of MNIST's shape."""
    if torch.cuda.is_available():
        cases = [(name, 1.0, CHANNELS, 20_000) for name in ON_A_GPU]
        cases += [("softmax", 0.25, CHANNELS, 20_000), ("softmax", 1.0, 1, 36_000)]
    else:
        cases = [("softmax", 0.25, CHANNELS, 2_560), ("softmax", 1.0, CHANNELS, 640)]
    rows = []
    with freed_memory_kept():  # as in every stage; the plain loop in this process, too
        for case in cases:
            rows.append(compare(*case))
            print("   " + "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    return rows


def compare(name: str, width: float, channels: int, count: int) -> dict[str, Any]:
    """Median images per second of each loop over `ROUNDS` rounds, and their ratio."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, labels = made_up_images(count, channels)
    loops = {
        "ours": our_epoch(name, images, labels, width, device),
        "plain_0_workers": plain_epoch(name, images, labels, width, device, workers=0),
        "plain_2_workers": plain_epoch(name, images, labels, width, device, workers=2),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for loop, epoch in loops.items():
            start = time.perf_counter()
            epoch()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn > 0:  # the first one warms up
                seconds[loop].append(time.perf_counter() - start)
    rates = {loop: count / statistics.median(times) for loop, times in seconds.items()}
    best_plain = max(rates["plain_0_workers"], rates["plain_2_workers"])
    row: dict[str, Any] = {"method": name, "input": f"{channels}x{SIZE}x{SIZE}", "width": width}
    row |= {"images": count, **{f"{loop}_per_s": round(rate) for loop, rate in rates.items()}}
    row |= of_peak(rates["ours"], network(width, channels))
    return {**row, "ratio": round(rates["ours"] / best_plain, 2)}


def made_up_images(count: int, channels: int) -> tuple[Tensor, Tensor]:
    """Noise (N, C, SIZE, SIZE) with labels (N,) of CLASSES."""
    shape = (count, channels, SIZE, SIZE)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (count,))


def network(width: float, channels: int) -> dict[str, Any]:
    """The settings of the network that both loops train."""
    return resolve_backbone({"width": width}, image_size=SIZE, channels=channels)


def learner(name: str, width: float, channels: int, device: str) -> Method:
    """A method with fresh weights; PMAL's final fit with prototypes that are noise."""
    method = METHODS[name](
        build_backbone(network(width, channels)), CLASSES, METHODS[name].Config()
    )
    assert isinstance(method, Method)
    method.to(device)
    if name == "pmal":
        images, labels = made_up_images(CLASSES * method.config.prototypes, channels)
        batches = Batches(ImageSet(images, labels), batch_size=BATCH, device=device)
        mined = images.view(CLASSES, -1, *images.shape[1:])
        method.prepare(batches, {"prototypes": {"images": mined}})
    return method


def our_epoch(
    name: str, images: Tensor, labels: Tensor, width: float, device: str
) -> Callable[[], object]:
    """One epoch of `Fit`."""
    method = learner(name, width, images.shape[1], device)
    method = method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train = Batches(
        ImageSet(images, labels),
        batch_size=BATCH,
        device=device,
        augmentation=Augmentation(crop_padding=4, flip=True),
    )
    return Fit(method, train, None, Training(), seed=0).one_epoch


def plain_epoch(
    name: str, images: Tensor, labels: Tensor, width: float, device: str, workers: int
) -> Callable[[], None]:
    """One epoch as most research code writes it; it needs torchvision and Pillow."""
    from osr_core.vision import torchvision  # which a machine of `make gpu` may lack

    transforms = torchvision.transforms
    change = transforms.Compose(
        [
            transforms.RandomCrop(SIZE, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    pictures = [transforms.functional.to_pil_image(image) for image in images]
    dataset = [(picture, int(label)) for picture, label in zip(pictures, labels, strict=True)]

    class Transformed(torch.utils.data.Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return len(dataset)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            picture, label = dataset[index]
            return change(picture), label

    loader = torch.utils.data.DataLoader(
        Transformed(),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device == "cuda",
    )
    method = learner(name, width, images.shape[1], device)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def epoch() -> None:
        method.train()
        method.refresh()
        for batch, label in loader:
            terms = method.losses_at(method.backbone(batch.to(device)), label.to(device))
            loss = torch.stack(list(terms.values())).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch
