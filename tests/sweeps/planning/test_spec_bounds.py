"""What a spec may say fits into what is made of it: no sweep is trained that cannot be exported."""

from typing import Any

import pyarrow as pa
import pytest

from analysis.exports.columns import HISTORY_COLUMNS, RUN_COLUMNS
from tests.sweeps.planning.two_checks import is_taken

COLUMNS = {column.name: column.type for column in (*RUN_COLUMNS, *HISTORY_COLUMNS)}


def holds(column: str, number: int) -> bool:
    """Whether an export can keep a number."""
    try:
        pa.array([number], COLUMNS[column])
    except (pa.ArrowInvalid, OverflowError):
        return False
    return True


@pytest.mark.parametrize("bits", [31, 32, 62, 63, 64, 200])
@pytest.mark.parametrize(
    ("column", "place"),
    [
        ("seed", lambda number: {"seeds": [number]}),
        ("split", lambda number: {"splits": [number]}),
        ("epoch", lambda number: {"training": {"epochs": number}}),
        ("member", lambda number: {"methods": {"pmal": {"members": number}}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_number_is_taken_if_its_column_holds_it(column: str, place: Any, bits: int):
    """To the last one: 2**63 - 1 is a seed, and 2**63 none."""
    for number in (2**bits - 1, 2**bits):
        assert is_taken(place(number)) == holds(column, number)


@pytest.mark.parametrize(
    "changed",
    [
        {"training": {"batch_size": 2**40}},
        {"methods": {"knn": {"neighbours": [5, 2**40]}}},
        {"backbone": {"name": "wrn", "depth": 2**40}},
        {"resources": {"cpus": 2**40}},
        {"budget": {"trials": 2**40}},
        {"resources": {"kinds": {"score": {"cpus": 2**40}}}},
        {"seeds": [1, 1]},
    ],
    ids=str,
)
def test_no_whole_number_is_without_bound(changed: dict[str, Any]):
    """Torch would refuse it in the first stage that reads it, hours after the plan."""
    assert not is_taken(changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"training": {"augmentation": {"crop_padding": 10**6}}},
        {"training": {"augmentation": {"randaugment_ops": 10**5}}},
        {"backbone": {"image_size": 10**6}},
        {"backbone": {"width": 1e9}},
        {"backbone": {"name": "wrn", "depth": 6 * 10**6 + 4}},
        {"backbone": {"name": "wrn", "widen": 1e9}},
        {"backbone": {"name": "wrn", "bottleneck": 10**9}},
        {"methods": {"pmal": {"prototypes": 10**6}}},
        {"methods": {"cpn": {"prototypes": 10**6}}},
        {"methods": {"rpl": {"points": 10**6}}},
        {"methods": {"rplpp": {"points": 10**6}}},
        {"methods": {"proser": {"dummies": 10**6}}},
        {"methods": {"arpl_cs": {"gan_width": 10**6}}},
        {"methods": {"proser": {"mixup": 1e-300}}},
        {"methods": {"proser": {"mixup": 1e300}}},
    ],
    ids=str,
)
def test_no_setting_is_beyond_what_a_machine_can_do(changed: dict[str, Any]):
    """Terabytes of memory, hours for an image, a number that is 0 in 32 bits: fits would fail."""
    assert not is_taken(changed)
