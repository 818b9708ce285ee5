"""Datasets as uint8 tensors, published class splits, and the tasks that join the two.

READERS lists the datasets; BENCHMARKS what a spec calls a dataset: one of them, or two where the
unknown classes come from another one. Both answer for a user's own images too (see
`osr_core.data.own`). `osr_core.data.splits` says which classes are known.
"""

from osr_core.data.base import UNKNOWN, Benchmark, ImageSet, Reader, Subset
from osr_core.data.cifar import CIFAR10, CIFAR100
from osr_core.data.digits import Digits
from osr_core.data.imagenet import ImageNet100, ImageNet200, ImageNet2010Open, ImageNetLT
from osr_core.data.mnist import MNIST
from osr_core.data.own import WithOwn, own_reader
from osr_core.data.svhn import SVHN
from osr_core.data.tinyimagenet import TinyImageNet
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

READERS: dict[str, Reader] = WithOwn(
    {
        "digits": Digits(),
        "mnist": MNIST(),
        "svhn": SVHN(),
        "cifar10": CIFAR10(),
        "cifar100": CIFAR100(),
        "tinyimagenet": TinyImageNet(),
        "imagenet100": ImageNet100(),
        "imagenet200": ImageNet200(),
        "imagenet_lt": ImageNetLT(),
        "imagenet2010_open": ImageNet2010Open(),
    },
    own_reader,
)

BENCHMARKS: dict[str, Benchmark] = WithOwn(
    {
        "digits": Benchmark("digits", READERS["digits"], READERS["digits"]),
        "mnist": Benchmark("mnist", READERS["mnist"], READERS["mnist"]),
        "svhn": Benchmark("svhn", READERS["svhn"], READERS["svhn"]),
        "cifar10": Benchmark("cifar10", READERS["cifar10"], READERS["cifar10"]),
        "cifar100": Benchmark("cifar100", READERS["cifar100"], READERS["cifar100"]),
        "cifar+10": Benchmark("cifar+10", READERS["cifar10"], READERS["cifar100"]),
        "cifar+50": Benchmark("cifar+50", READERS["cifar10"], READERS["cifar100"]),
        "tinyimagenet": Benchmark("tinyimagenet", READERS["tinyimagenet"], READERS["tinyimagenet"]),
        "imagenet100": Benchmark("imagenet100", READERS["imagenet100"], READERS["imagenet100"]),
        "imagenet200": Benchmark("imagenet200", READERS["imagenet200"], READERS["imagenet200"]),
        "imagenet_lt": Benchmark(
            "imagenet_lt", READERS["imagenet_lt"], READERS["imagenet2010_open"]
        ),
    },
    lambda name: Benchmark(name, own_reader(name), own_reader(name)),
)


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
