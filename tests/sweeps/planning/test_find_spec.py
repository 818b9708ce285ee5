"""Which file a spec's name or path means, and what is said of none."""

from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.planning.spec import find_spec


@pytest.mark.parametrize("given", ["my-sweep", "my_swep.yaml", "./my_swep.yaml"])
def test_a_file_beside_it_is_suggested(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep's name and a slip both mean the file that the user has written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_sweep.yaml").touch()
    with pytest.raises(ConfigError, match=r"Did you mean 'my_sweep\.yaml'"):
        find_spec(given)
    (tmp_path / "my_sweep.yaml").rename("other.yaml")
    with pytest.raises(ConfigError) as error:
        find_spec(given)
    assert "Did you mean" not in str(error.value)
