"""Notes where a process would wait for a GPU: to read a number or a shape off a tensor, or to
copy one there from memory that the system may move.
"""

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
READING = {  # of the Python interface, where on the CPU nothing need be dispatched
    *(Tensor.cpu, Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__bool__, Tensor.__float__),
    *(Tensor.__int__, Tensor.__index__),
}
SENDING = {"to_device", "constant"}  # functions that copy as one should, or once
WAITING = {
    *(aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default),
    *(aten.nonzero.default, aten.masked_select.default, aten._unique2.default),
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


def copies(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a tensor may come from the CPU to a device in it."""
    if func is Tensor.to:
        given = [*args[1:], *kwargs.values()]
        return any(isinstance(each, torch.device | str | Tensor) for each in given)
    if func in (torch.tensor, torch.as_tensor):
        return kwargs.get("device") not in (None, "cpu")  # there, where the CPU may read it
    return func in (Tensor.new_tensor, Tensor.cuda)


def chooses_by_values(indices: Sequence[Tensor | None]) -> bool:
    """Whether how much is taken depends on what stands in a mask."""
    return any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in indices)


class Reading(TorchFunctionMode):
    """Hears what Python asks of tensors."""

    def __init__(self, note: Callable[[str, Any], None]) -> None:
        super().__init__()
        self.note = note

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        # torch's own Python code asks for tensors that lie on the device already
        called_by_torch = "/torch/" in sys._getframe(1).f_code.co_filename
        if func in READING or (copies(func, args, kwargs or {}) and not called_by_torch):
            self.note(func.__name__, args[0])
        return func(*args, **(kwargs or {}))


class Dispatching(TorchDispatchMode):
    """Hears what torch does below that."""

    def __init__(self, note: Callable[[str, Any], None]) -> None:
        super().__init__()
        self.note = note

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in WAITING or (func in INDEXING and chooses_by_values(args[1])):
            self.note(str(func), args[0])
        return func(*args, **(kwargs or {}))


class Waits:
    """Where this process would wait for a GPU in a block, as "file:line function operation".

    The counters of optimisers do not count: they lie on the CPU, whatever is trained.
    """

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        self.optimizers = list(optimizers)
        self.found: list[str] = []
        self._listening = ExitStack()

    def __enter__(self) -> Self:
        self._listening.enter_context(Reading(self.note))
        self._listening.enter_context(Dispatching(self.note))
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.close()

    def note(self, operation: str, tensor: Any) -> None:
        """Keep where it was asked for, as far as it is ours."""
        states = [state for each in self.optimizers for state in each.state.values()]
        if any(state.get("step") is tensor for state in states):
            return
        stack = traceback.extract_stack()
        ours = [each for each in stack if "/osr_core/" in each.filename and each.name[0] != "<"]
        if ours and ours[-1].name in SENDING:
            return
        names = [f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in ours[-1:]]
        self.found.append(" ".join([*names, operation]))
