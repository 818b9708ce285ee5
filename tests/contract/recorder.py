"""What a CUDA graph does, on the CPU: a step's operations are recorded and done again.

As on a GPU, every tensor of the step keeps its memory; one that was there before is found where it
lay, whatever has taken its place since; Python's numbers are those of the capture; nothing may be
read off a tensor; and recording changes nothing. Draws go on from torch's generator.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from waiting import INDEXING, WAITING, chooses_by_values

from osr_core.graphs import Terms


def tensors_in(values: Any) -> list[Tensor]:
    """All of them, however deep they lie."""
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


class Recording(TorchDispatchMode):
    """Records what torch is asked for while it is in force, and remembers what was before."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor | None]]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self.own: set[int] = set()  # addresses of memory that the step has taken

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Compute, and note with it which results lie in memory of their own."""
        if func in WAITING or (func in INDEXING and chooses_by_values(args[1])):
            raise RuntimeError(f"{func} reads off a tensor, which a capture does not permit")
        kwargs = kwargs or {}
        for given in tensors_in((args, kwargs)):
            if not self.is_known(given):
                memory = given.untyped_storage()
                self.before[memory.data_ptr()] = (memory, memory.clone())
        out = func(*args, **kwargs)
        made = [None if self.is_known(each) else each for each in tensors_in(out)]
        self.own |= {each.untyped_storage().data_ptr() for each in made if each is not None}
        self.calls.append((func, args, kwargs, made))
        return out

    def is_known(self, tensor: Tensor) -> bool:
        """Whether it lies in memory that the step has seen."""
        address = tensor.untyped_storage().data_ptr()
        return address in self.own or address in self.before

    def undo(self) -> None:
        """Put back what was there before, and leave nothing of use in the step's own memory."""
        for memory, content in self.before.values():
            memory.copy_(content)
        for made in self.made():
            made.detach().fill_(torch.nan if made.is_floating_point() else 0)

    def made(self) -> Iterator[Tensor]:
        """Results in memory of their own."""
        for *_, made in self.calls:
            yield from (each for each in made if each is not None)

    def replay(self) -> None:
        """All of it once more, each result to where it lay."""
        with torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, made in self.calls:
                again = tensors_in(func(*args, **kwargs))
                for place, value in zip(made, again, strict=True):
                    if place is not None:
                        place.copy_(value)


class Recorder:
    """The CPU's stand-in for `graphs.CudaCapture`; counts what it is asked for."""

    def __init__(self) -> None:
        self.num_eager = self.num_captured = self.num_replayed = 0

    def eager(self, step: Callable[[], Terms]) -> Terms:
        self.num_eager += 1
        return step()

    def record(self, step: Callable[[], Terms]) -> tuple[Terms, Callable[[], object]]:
        self.num_captured += 1
        drawn = torch.get_rng_state()
        with Recording() as recording:
            terms = step()
        recording.undo()
        torch.set_rng_state(drawn)

        def replay() -> None:
            self.num_replayed += 1
            recording.replay()

        return terms, replay
