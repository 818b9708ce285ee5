"""Split files of one's own: what they may say."""

import pytest

from osr_core.data.splits import class_split
from osr_core.errors import ConfigError


def split_in(tmp_path, text, name="digits", index=0):
    """A split of a file."""
    path = tmp_path / "mine.json"
    path.write_text(text)
    return class_split(name, str(path), index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"splits": {"digits": [], "digits": []}}', "is not JSON: the key 'digits' is given twi"),
        ('{"splits": {"digits": [{"known": [], "known": []}]}}', "the key 'known' is given twice"),
        ("[" * 100_000, "is not JSON: maximum recursion depth"),
        ("9" * 5000, "is not JSON: Exceeds the limit"),
    ],
    ids=["dataset twice", "side twice", "deep", "long"],
)
def test_what_json_readers_keep_back_is_said(tmp_path, text, message):
    """Of a key that is given twice, Python would keep the last."""
    with pytest.raises(ConfigError, match=message):
        split_in(tmp_path, text)
