"""Means over an epoch that wait for nothing before its end."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Self

import torch
from torch import Tensor

from osr_core.data_parallel import DataParallel


class Means:
    """Means over images of what is given per batch; nothing leaves the device before the end."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.num_images = 0
        self.num_finite: Tensor | int = 0  # (terms,) batches after which a sum was finite

    def add(self, batch_means: Mapping[str, Tensor], num_images: int) -> None:
        """Take the means of a batch."""
        self.num_images += num_images
        for name, mean in batch_means.items():
            weighted = mean * num_images
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
        self.num_finite = torch.stack([*self.sums.values()]).isfinite() + self.num_finite

    def of_all(self, processes: DataParallel) -> Self:
        """With what all processes have added."""
        if self.sums and processes.world_size > 1:
            count = next(iter(self.sums.values())).new_tensor(self.num_images)
            *sums, count = processes.total(torch.stack([*self.sums.values(), count]))
            self.sums = dict(zip(self.sums, sums, strict=True))
            self.num_images = round(float(count))
            self.num_finite = processes.least(torch.as_tensor(self.num_finite))
        return self

    def under(self, prefix: str) -> dict[str, float]:
        """The means so far, each name behind `prefix`."""
        return {f"{prefix}{name}": float(s) / self.num_images for name, s in self.sums.items()}

    def lost_terms(self) -> str:
        """Which sums are not finite, by the batch, counted from 1, after which each was lost.

        Of one batch in the order in which the terms were given.
        """
        batches = (torch.as_tensor(self.num_finite) + 1).tolist()
        in_order = sorted(zip(batches, self.sums, strict=True), key=itemgetter(0))
        (first, name), *others = (each for each in in_order if not self.sums[each[1]].isfinite())
        then = ", ".join(f"{other} ({batch})" for batch, other in others)
        return f"{name} was lost first, in batch {first}" + (f"; then {then}" if then else "")
