"""Images per second of our training loop and of a plain DataLoader-and-transforms loop.

Same network, same augmentation (crop with padding 4, flip), same optimiser, same images, turn and
turn about in one process. The plain loop gets the best of 0 and 2 loader workers.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.freed_memory import freed_memory_kept
from osr_core.methods import METHODS
from osr_core.recipes import Augmentation, Training
from osr_core.training import Fit
from osr_core.vision import torchvision

SIZE, CHANNELS, CLASSES, BATCH = 32, 3, 6, 128
ROUNDS = 5


def measure() -> list[dict[str, Any]]:
    """One row per network width; on a GPU also MNIST's shape at full width."""
    gpu = torch.cuda.is_available()
    counts = {0.25: 20_000, 1.0: 20_000} if gpu else {0.25: 2_560, 1.0: 640}
    with freed_memory_kept():  # as in every stage; the plain loop in this process, too
        rows = [compare(width, CHANNELS, count) for width, count in counts.items()]
        if gpu:
            rows.append(compare(1.0, 1, 36_000))
    for row in rows:
        print("   " + "  ".join(f"{key} {value}" for key, value in row.items()))
    return rows


def compare(width: float, channels: int, count: int) -> dict[str, Any]:
    """Median images per second of each loop over `ROUNDS` rounds, and their ratio."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = (count, channels, SIZE, SIZE)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (count,))
    loops = {
        "ours": our_epoch(images, labels, width, device),
        "plain_0_workers": plain_epoch(images, labels, width, device, workers=0),
        "plain_2_workers": plain_epoch(images, labels, width, device, workers=2),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for name, epoch in loops.items():
            start = time.perf_counter()
            epoch()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn > 0:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    rates = {name: count / statistics.median(times) for name, times in seconds.items()}
    best_plain = max(rates["plain_0_workers"], rates["plain_2_workers"])
    row: dict[str, Any] = {"input": f"{channels}x{SIZE}x{SIZE}", "width": width, "images": count}
    row |= {f"{name}_per_s": round(rate) for name, rate in rates.items()}
    return {**row, "ratio": round(rates["ours"] / best_plain, 2)}


def network(width: float, channels: int) -> dict[str, Any]:
    """The settings of the network that both loops train."""
    return resolve_backbone({"width": width}, image_size=SIZE, channels=channels)


def our_epoch(images: Tensor, labels: Tensor, width: float, device: str) -> Callable[[], object]:
    """One epoch of `Fit`."""
    softmax = METHODS["softmax"]
    settings = network(width, images.shape[1])
    method = softmax(build_backbone(settings), CLASSES, softmax.Config())
    method = method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train = Batches(
        ImageSet(images, labels),
        batch_size=BATCH,
        device=device,
        augmentation=Augmentation(crop_padding=4, flip=True),
    )
    return Fit(method, train, None, Training(), seed=0).one_epoch


def plain_epoch(
    images: Tensor, labels: Tensor, width: float, device: str, workers: int
) -> Callable[[], None]:
    """One epoch as most research code writes it."""
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
    backbone = build_backbone(network(width, images.shape[1]))
    model = nn.Sequential(backbone, nn.Linear(backbone.dim, CLASSES, bias=False)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def epoch() -> None:
        model.train()
        for batch, label in loader:
            loss = nn.functional.cross_entropy(model(batch.to(device)), label.to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch
