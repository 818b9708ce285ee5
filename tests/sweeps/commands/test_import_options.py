"""What the options of `osr import` must say."""

import pytest

from osr_core.errors import ConfigError
from sweeps.commands.imports import normalization


def test_a_normalisation_has_a_number_for_each_channel() -> None:
    """Without any, the file itself says it."""
    assert normalization("0.5,0.4", "0.2, 0.3") == {"mean": [0.5, 0.4], "std": [0.2, 0.3]}
    assert normalization("", "") is None


@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf", "1e39"])
def test_a_normalisation_is_of_finite_numbers(wrong: str) -> None:
    """Python reads these as numbers, and every image would become none, or all the same."""
    for mean, std in ((f"0.5,{wrong}", "1,1"), ("0,0", f"{wrong},0.5")):
        with pytest.raises(ConfigError, match=r"finite numbers|std is above 0"):
            normalization(mean, std)


@pytest.mark.parametrize("wrong", ["0", "-1", "1e-60"])
def test_images_are_divided_by_more_than_nothing(wrong: str) -> None:
    """Also where a number is nothing in float32, in which images are normalised."""
    with pytest.raises(ConfigError, match="std is above 0"):
        normalization("0.5", wrong)
