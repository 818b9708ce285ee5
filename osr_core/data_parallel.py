"""One fit on several devices of a machine: each process takes its part of every batch.

All processes hold the same weights, draw the same order and the same changes of images, and take
the same step, by the gradient of the whole batch. Batch norms see the whole batch, too. So the
result is that of one process but for the order in which numbers are added.

torch's DistributedDataParallel wraps a network's forward pass; the methods here have losses and
optimisers of their own, and so gradients are averaged where they meet: before an optimiser's step.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

FORWARD = "forward"  # written out, source.py would take it for the `forward` of every method


class DataParallel:
    """One of `world_size` processes that train one network; with one, nothing is exchanged."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        """The processes must have a process group where there is more than one."""
        self.rank, self.world_size = rank, world_size
        self.num_images = 0  # of the batch at hand, those of this process

    @property
    def identity(self) -> list[int]:
        """What this process's own draws depend on besides; the first one draws as one alone."""
        return [self.rank] if self.rank else []

    def part(self, num: int) -> slice:
        """Which of a batch's `num` images are this process's: neighbours, one more or less."""
        return slice(num * self.rank // self.world_size, num * (self.rank + 1) // self.world_size)

    @torch.no_grad()
    def share_batches(self, network: nn.Module) -> None:
        """Give `network` the first process's weights, and let its batch norms see whole batches."""
        if self.world_size == 1:
            return
        for tensor in network.state_dict().values():
            whole = tensor.contiguous()
            dist.broadcast(whole, 0)
            tensor.copy_(whole)
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                setattr(module, FORWARD, partial(self.batch_norm, module))

    def share_steps(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Let optimisers step by the gradient of the whole batch."""
        if self.world_size > 1:
            for optimizer in optimizers:
                optimizer.register_step_pre_hook(self._average_gradients)

    def total(self, sums: Tensor) -> Tensor:
        """The sums of all processes' numbers."""
        if self.world_size > 1:
            dist.all_reduce(sums)
        return sums

    def least(self, numbers: Tensor) -> Tensor:
        """Of each number the least of all processes."""
        if self.world_size > 1:
            dist.all_reduce(numbers, op=dist.ReduceOp.MIN)
        return numbers

    def agreed(self, row: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """The first process's numbers, so that all decide the same by them."""
        if self.world_size == 1:
            return dict(row)
        values = torch.tensor([*row.values()], dtype=torch.float64, device=device)
        dist.broadcast(values, 0)
        return dict(zip(row, values.tolist(), strict=True))

    def batch_norm(self, module: _BatchNorm, maps: Tensor) -> Tensor:
        """`module` of (B, C, ...) maps, by the mean and the variance of all processes' images."""
        if not module.training:
            follows = (module.running_mean, module.running_var, module.weight, module.bias)
            return F.batch_norm(maps, *follows, training=False, eps=module.eps)
        exact = maps if maps.dtype == torch.float64 else maps.float()
        others = [axis for axis in range(exact.ndim) if axis != 1]
        count = exact.new_tensor([exact.numel() / exact.shape[1]])
        sums = _Total.apply(torch.cat([exact.sum(others), count]), self)  # type: ignore[no-untyped-call]
        count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        shape = [1, -1, *[1] * (exact.ndim - 2)]
        centred = exact - mean.view(shape)
        variance = _Total.apply(centred.square().sum(others), self) / count  # type: ignore[no-untyped-call]
        _follow(module, mean.detach(), variance.detach() * count / (count - 1))
        normal: Tensor = centred * (variance + module.eps).rsqrt().view(shape)
        if module.affine:
            normal = normal * module.weight.view(shape) + module.bias.view(shape)
        return normal.to(maps.dtype)

    def _average_gradients(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Means over this process's images become means over the whole batch."""
        groups = optimizer.param_groups
        own = [each.grad for group in groups for each in group["params"] if each.grad is not None]
        flat = torch.cat([*(grad.flatten() for grad in own), own[0].new_ones(1)]) * self.num_images
        dist.all_reduce(flat)
        *means, _ = torch.split(flat / flat[-1], [*(grad.numel() for grad in own), 1])
        for grad, mean in zip(own, means, strict=True):
            grad.copy_(mean.view_as(grad))


ALONE = DataParallel()


class _Total(torch.autograd.Function):
    """The sum of all processes' numbers.

    A process's loss is a mean over its own images. So that the parts weigh what they are of the
    whole, gradients travel as sums over images and arrive as means.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, processes: DataParallel) -> Tensor:
        ctx.processes = processes
        return processes.total(own.clone())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        num_images = ctx.processes.num_images
        return ctx.processes.total(grads[0] * num_images) / num_images, None


@torch.no_grad()
def _follow(module: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move a batch norm's running statistics, as torch does."""
    if module.running_mean is None or module.running_var is None or module.momentum is None:
        return
    module.running_mean.lerp_(mean.to(module.running_mean.dtype), module.momentum)
    module.running_var.lerp_(variance.to(module.running_var.dtype), module.momentum)
    if module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
