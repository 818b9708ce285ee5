"""The other reading of PMAL's splits: 4 known and 6 unknown classes."""

import pytest

from osr_core.data.splits import class_split, splits_of


@pytest.mark.parametrize("benchmark", ["mnist", "svhn", "cifar10"])
def test_four_known_classes_of_pmal_are_osrcis_unknown_ones(benchmark):
    """PMAL's text says 4 known and 6 unknown, and follows OSRCI, whose lists are 6 and 4."""
    assert splits_of(benchmark, "pmal@four_known") == 5
    for index in range(5):
        here = class_split(benchmark, "pmal@four_known", index)
        osrci = class_split(benchmark, "osrci", index)
        assert (here.known, here.unknown) == (osrci.unknown, osrci.known)
        assert (len(here.known), len(here.unknown)) == (4, 6)
