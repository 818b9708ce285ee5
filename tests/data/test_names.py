"""The names of datasets."""

import pytest

from osr_core.data import BENCHMARKS, READERS, benchmark, reader
from osr_core.errors import ConfigError


def test_names_are_looked_up_with_help():
    """A wrong name gets the nearest right one."""
    assert reader("mnist") is READERS["mnist"]
    assert benchmark("cifar+10").unknown is READERS["cifar100"]
    for lookup in (reader, benchmark):
        with pytest.raises(ConfigError, match=r"dataset 'mnits' .* Did you mean 'mnist'\?"):
            lookup("mnits")


def test_names_in_the_lists_are_their_own():
    """A reader's name is part of image ids and of stage ids."""
    assert {name: entry.name for name, entry in READERS.items()} == {name: name for name in READERS}
    assert all(name == entry.name for name, entry in BENCHMARKS.items())
