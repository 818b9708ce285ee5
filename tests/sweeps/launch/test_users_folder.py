"""Nothing of the folder in which a user works is imported, whatever its files are called."""

from pathlib import Path

from tests.sweeps.conftest import OURS


def test_a_users_own_modules_are_not_taken_for_ours(tiny: tuple[Path, str]):
    """Each of them would have ended its process, and noted itself."""
    home, printed = tiny
    assert all((home.parent / name / "__init__.py").is_file() for name in OURS)
    assert not (home.parent / "imported").exists()
    assert "10 of 10 trials done" in printed
