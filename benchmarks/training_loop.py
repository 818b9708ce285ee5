"""Images per second of our training loop and of a plain DataLoader-and-transforms loop.

Same network, same losses, same augmentation (crop with padding 4, flip), same optimiser, same
images, turn and turn about in one process. The plain loop gets the best of 0 and 2 loader workers.
On a GPU the plain loop computes in float32 (convolutions in TF32, as torch does by default) and
waits for each batch, as authors publish it. It embeds PMAL's prototypes once an epoch, ours every
ten steps. Ours is there besides by CUDA graphs, and of CAC both ways with its network compiled by
torch.compile, where that can be.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.peaks import of_peak
from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.freed_memory import freed_memory_kept
from osr_core.graphs import VARIABLE
from osr_core.methods import Learner, Method, learner_named
from osr_core.recipes import Augmentation, Training
from osr_core.training import Fit

SIZE, CHANNELS, CLASSES, BATCH = 32, 3, 6, 128
ROUNDS = 5
ON_A_GPU = ("softmax", "cac", "arpl", "pmal")
PROTOTYPES = 10  # of each class, PMAL's default
COMPILED = "cac"  # one of them: to compile a network takes longer than to measure it


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
    loops = our_epochs(name, images, labels, width, gpu=device == "cuda") | {
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
    ours = [rate for loop, rate in rates.items() if not loop.startswith("plain")]
    row |= of_peak(max(ours), network(width, channels))
    row["ratio"] = round(rates["ours"] / best_plain, 2)
    if "graphed" in rates:
        row["graphed_ratio"] = round(rates["graphed"] / best_plain, 2)
    return row


def made_up_images(count: int, channels: int) -> tuple[Tensor, Tensor]:
    """Noise (N, C, SIZE, SIZE) with labels (N,) of CLASSES."""
    shape = (count, channels, SIZE, SIZE)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (count,))


def network(width: float, channels: int) -> dict[str, Any]:
    """The settings of the network that both loops train."""
    return resolve_backbone({"width": width}, image_size=SIZE, channels=channels)


def learner(name: str, width: float, channels: int, device: str) -> Learner:
    """A learner with fresh weights; what it takes of others is fresh, too, and images are noise."""
    cls = learner_named(name)
    made = cls(build_backbone(network(width, channels)), CLASSES, cls.Config()).to(device)
    images, labels = made_up_images(CLASSES * PROTOTYPES, channels)
    others = {
        "prototypes": {"images": images.view(CLASSES, -1, *images.shape[1:])},
        "fakes": {"images": images},
    }
    if name != "softmax":
        others["classifier"] = learner("softmax", width, channels, "cpu").state_dict()
    made.prepare(Batches(ImageSet(images, labels), batch_size=BATCH, device=device), others)
    return made


def our_fit(
    name: str,
    images: Tensor,
    labels: Tensor,
    width: float,
    *,
    graphs: bool = False,
    training: Training | None = None,
) -> Fit:
    """Our loop, on a GPU where there is one; of which `one_epoch` is an epoch."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    method = learner(name, width, images.shape[1], device)
    method = method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train = Batches(
        ImageSet(images, labels),
        batch_size=BATCH,
        device=device,
        augmentation=Augmentation(crop_padding=4, flip=True),
    )
    with patch.dict(os.environ, {VARIABLE: str(int(graphs))}):
        return Fit(method, train, None, training or Training(), seed=0)


def our_epochs(
    name: str, images: Tensor, labels: Tensor, width: float, *, gpu: bool
) -> dict[str, Callable[[], object]]:
    """An epoch of our loop by what it is called; on a GPU by graphs and, of COMPILED, compiled.

    What cannot be compiled is left out, and why is printed.
    """
    loops: dict[str, Callable[[], object]] = {}
    for loop, graphs in (("ours", False), ("graphed", True))[: 1 + gpu]:
        loops[loop] = our_fit(name, images, labels, width, graphs=graphs).one_epoch
    if not gpu or name != COMPILED:
        return loops
    for loop, graphs in (("compiled", False), ("graphed_compiled", True)):
        fit = our_fit(name, images, labels, width, graphs=graphs)
        fit.method.backbone.compile(dynamic=False)
        try:
            fit.one_epoch()
        except Exception as error:  # whatever compilers raise
            print(f"   {loop} left out: {type(error).__name__}: {str(error).strip()[:200]}")
        else:
            loops[loop] = fit.one_epoch
    return loops


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
    assert isinstance(method, Method)
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
