"""The names of datasets."""

import pytest

from osr_core.data import BENCHMARKS, READERS, benchmark, reader
from osr_core.errors import ConfigError, unknown_name


def test_names_are_looked_up_with_help():
    """A wrong name gets the nearest right one."""
    assert reader("mnist") is READERS["mnist"]
    assert benchmark("cifar+10").unknown is READERS["cifar100"]
    for lookup in (reader, benchmark):
        with pytest.raises(ConfigError, match=r"dataset 'mnits' .* Did you mean 'mnist'\?"):
            lookup("mnits")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("CIFAR10", "cifar10"), ("Mnist", "mnist"), ("TinyImagenet", "tinyimagenet")],
)
def test_case_hides_no_name(given, meant):
    """Papers write CIFAR10 and Softmax."""
    with pytest.raises(ConfigError, match=f"'{given}' does not exist. Did you mean '{meant}'"):
        benchmark(given)


def test_of_many_names_some_are_listed():
    """A thousand classes would hide the sentence."""
    said = unknown_name("class", "Class 7", [f"class {k}" for k in range(1000)])
    assert "Did you mean 'class 7'? There are 1000, such as: class 7, " in said
    assert len(said) < 150


def test_names_in_the_lists_are_their_own():
    """A reader's name is part of image ids and of stage ids."""
    assert {name: entry.name for name, entry in READERS.items()} == {name: name for name in READERS}
    assert all(name == entry.name for name, entry in BENCHMARKS.items())
