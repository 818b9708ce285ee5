"""Datasets as uint8 tensors, published class splits, and the tasks that join the two.

READERS lists the datasets; BENCHMARKS what a spec calls a dataset: one of them, or two where the
unknown classes come from another one. `osr_core.data.splits` says which classes are known.
"""

from osr_core.data.base import UNKNOWN, Benchmark, ImageSet, Reader, Subset
from osr_core.data.cifar import CIFAR10, CIFAR100
from osr_core.data.digits import Digits
from osr_core.data.mnist import MNIST
from osr_core.errors import ConfigError, unknown_name

__all__ = [
    "BENCHMARKS",
    "READERS",
    "UNKNOWN",
    "Benchmark",
    "ImageSet",
    "Reader",
    "Subset",
    "benchmark",
    "reader",
]

READERS: dict[str, Reader] = {
    "digits": Digits(),
    "mnist": MNIST(),
    "cifar10": CIFAR10(),
    "cifar100": CIFAR100(),
}

BENCHMARKS: dict[str, Benchmark] = {
    "digits": Benchmark("digits", READERS["digits"], READERS["digits"]),
    "mnist": Benchmark("mnist", READERS["mnist"], READERS["mnist"]),
    "cifar10": Benchmark("cifar10", READERS["cifar10"], READERS["cifar10"]),
    "cifar100": Benchmark("cifar100", READERS["cifar100"], READERS["cifar100"]),
    "cifar+10": Benchmark("cifar+10", READERS["cifar10"], READERS["cifar100"]),
    "cifar+50": Benchmark("cifar+50", READERS["cifar10"], READERS["cifar100"]),
}


def reader(name: str) -> Reader:
    """The dataset called `name`.

    Raises:
        ConfigError: there is none; names those that exist.
    """
    if name not in READERS:
        raise ConfigError(unknown_name("dataset", name, READERS))
    return READERS[name]


def benchmark(name: str) -> Benchmark:
    """What a spec calls `name`: where known and unknown classes come from.

    Raises:
        ConfigError: there is none; names those that exist.
    """
    if name not in BENCHMARKS:
        raise ConfigError(unknown_name("dataset", name, BENCHMARKS))
    return BENCHMARKS[name]
