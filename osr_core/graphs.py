"""A training step as one launch: what it tells a GPU is recorded once, and then told at once.

A step of a small network is some hundred kernels, and a GPU finishes each before the CPU has told
it the next. A CUDA graph is the same kernels on the same memory, told in one go. A fit's batches
    are trained on as they are at first, while libraries and optimisers set themselves up: EAGER
        steps, and a fresh optimiser's first one before them
    are then trained on by replays of the next step, which is recorded without computing anything
    are trained on as they are where they are smaller, as an epoch's last one
so that each is trained on once and in order, and numbers are those of steps as they are. A batch's
images are changed within the step, by what was drawn for them. Draws on the device go on from
torch's generator in each replay.

What Python decides or computes in a step is decided once, when it is recorded. So a method says
whether its steps are all alike (`Learner.static_step`). Memory, too, is that of this moment: where
a tensor has been replaced since, as by a restart, the step is recorded anew (`Steps.begin`).
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from osr_core.data.batches import Batch, Drawn
from osr_core.data_parallel import DataParallel
from osr_core.errors import ConfigError
from osr_core.methods.learner import Learner

VARIABLE = "OSR_GRAPHS"  # of the environment: 1 turns graphs on, 0 off
BY_DEFAULT = "0"  # until a GPU has run them and `make gpu` says what they bring
EAGER = 3  # successive steps that find all tensors in the same places

Terms = dict[str, Tensor]


class Capture(Protocol):
    """How a type of device records steps."""

    def eager(self, step: Callable[[], Terms]) -> Terms:
        """Take a step as it is, such that one like it can be recorded afterwards."""

    def record(self, step: Callable[[], Terms]) -> tuple[Terms, Callable[[], object]]:
        """Where the step's terms will lie, and what computes them; nothing is computed yet."""


class CudaCapture:
    """CUDA graphs; steps before a capture run on a stream beside the default one, as it does.

    Each fit has a stream of its own: torch keeps cuBLAS's memory by stream, and two graphs on one
    would share it.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def eager(self, step: Callable[[], Terms]) -> Terms:
        """Behind what the current stream has to do, and before what it is told next."""
        here = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            terms = step()
        here.wait_stream(self.stream)
        return terms

    def record(self, step: Callable[[], Terms]) -> tuple[Terms, Callable[[], object]]:
        """Other threads may use the GPU meanwhile, as the one that samples it does."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            terms = step()
        return terms, graph.replay


CAPTURED_BY: dict[str, Callable[[torch.device], Capture]] = {"cuda": CudaCapture}  # by device type


class Graph(NamedTuple):
    """A step that has been recorded."""

    batch: Drawn  # from where it reads
    places: list[Any]  # of all else that it reads or writes
    terms: Terms  # to where it writes
    replay: Callable[[], object]

    def run(self, batch: Drawn) -> Terms:
        """The step on a batch; the terms are good until the next one."""
        for mine, given in zip(self.batch, batch, strict=True):
            mine.copy_(given)
        self.replay()
        return self.terms


class Steps:
    """The training steps of one fit: a batch is changed as was drawn for it, and trained on."""

    def __init__(
        self,
        learner: Learner,
        augmented: Callable[[Drawn], Batch],
        device: torch.device,
        processes: DataParallel,
    ) -> None:
        self.learner, self.augmented = learner, augmented
        self.capture = capture_for(learner, device, processes)
        self.optimizers: Mapping[str, Optimizer] = {}
        self.size: torch.Size | None = None  # of the batches that are captured: that of the first
        self.graph: Graph | None = None
        self.places: list[Any] = []  # as the last step found them that was not captured
        self.num_alike = 0  # successive steps that found these

    def begin(self, optimizers: Mapping[str, Optimizer]) -> None:
        """Before each epoch, when nothing is replaced any more: forget a graph of other memory.

        `optimizers` are the learner's, by role.
        """
        self.optimizers = optimizers
        if self.graph is not None and self.graph.places != places(self.learner, optimizers):
            self.graph, self.num_alike = None, 0

    def __call__(self, batch: Drawn) -> Terms:
        """One step; what the learner does before it, and its terms, detached."""
        self.learner.before_step()
        step = partial(self.step, batch)
        if self.capture is None:
            return step()
        self.size = self.size or batch.images.shape
        if batch.images.shape != self.size:
            return self.capture.eager(step)
        if self.graph is None and not self.is_settled():
            return self.capture.eager(step)
        if self.graph is None:
            self.graph = self.recorded(self.capture, batch)
        return self.graph.run(batch)

    def is_settled(self) -> bool:
        """Whether EAGER steps have made nothing anew, as an optimiser's first step does."""
        found = places(self.learner, self.optimizers)
        if found != self.places:
            self.places, self.num_alike = found, 0
        self.num_alike += 1
        return self.num_alike > EAGER

    def step(self, batch: Drawn) -> Terms:
        """As it is."""
        return self.learner.train_step(self.augmented(batch), self.optimizers)

    def recorded(self, capture: Capture, batch: Drawn) -> Graph:
        """The step on batches such as this one."""
        own = Drawn(*(each.clone() for each in batch))  # strided alike
        step = partial(self.step, own)
        with capturable(self.optimizers.values()):
            return Graph(own, self.places, *capture.record(step))

    def end(self) -> None:
        """No step follows: what comes after training may have the memory of the graph."""
        self.graph = None


def are_on(value: str | None) -> bool:
    """Whether a value of the variable turns graphs on; none is BY_DEFAULT.

    Raises:
        ConfigError: it is neither 1 nor 0.
    """
    value = value or BY_DEFAULT
    if value not in ("0", "1"):
        raise ConfigError(
            f"{VARIABLE} is '{value}'; write 1 for training by CUDA graphs, 0 for none."
        )
    return value == "1"


def capture_for(learner: Learner, device: torch.device, processes: DataParallel) -> Capture | None:
    """How the learner's steps are recorded; None: they are not.

    They are where the device and the learner can and graphs are on, by a process that trains alone:
    several wait for each other within a step.

    Raises:
        ConfigError: the variable says neither.
    """
    if (
        are_on(os.environ.get(VARIABLE))
        and learner.static_step
        and processes.world_size == 1
        and device.type in CAPTURED_BY
    ):
        return CAPTURED_BY[device.type](device)
    return None


@contextmanager
def capturable(optimizers: Collection[Optimizer]) -> Iterator[None]:
    """Let Adam be captured, which it refuses unless told; outside of a capture it warns of that."""
    groups = [group for each in optimizers for group in each.param_groups if "capturable" in group]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False


def places(learner: Learner, optimizers: Mapping[str, Optimizer]) -> list[Any]:
    """Addresses of the tensors of a learner and its optimisers, and these ones' numbers."""
    found: list[Any] = [*learner.parameters(), *learner.buffers()]
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            found += [value for key, value in group.items() if key != "params"]
        found += [value for state in optimizer.state.values() for value in state.values()]
    return [each.data_ptr() if isinstance(each, Tensor) else each for each in found]
