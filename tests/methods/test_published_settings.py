"""A setting whose description names the published value has that value by default."""

import dataclasses
import re

import pytest

from osr_core.methods import METHODS

SOURCE = re.compile(r"\((?:papers?|code|authors' code)[^:)]*: ([\d.e-]+)\)")
PUBLISHED = [
    (name, field.name, field.default, found[1])
    for name, learner in sorted(METHODS.items())
    for field in dataclasses.fields(learner.Config)
    if (found := SOURCE.search(field.metadata["meaning"]))
]


@pytest.mark.parametrize(("method", "setting", "default", "published"), PUBLISHED)
def test_a_default_is_the_published_value(
    method: str, setting: str, default: float, published: str
) -> None:
    """A sweep that names a method and nothing else runs what its paper says."""
    assert default == float(published)


def test_every_method_with_a_weight_of_its_own_names_a_source() -> None:
    """A pattern that finds nothing would let every default pass."""
    named = {method for method, *_ in PUBLISHED}
    assert named >= {"arpl", "arpl_cs", "c2ae", "cac", "center", "cgdl", "cssr", "medaf"}
    assert named >= {"openhybrid", "osrci", "pmal", "proser"}
