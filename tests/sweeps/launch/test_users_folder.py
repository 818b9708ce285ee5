"""Nothing of the folder in which a user works is imported, whatever its files are called."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SPEC = """\
name: mine
datasets: [digits]
splits: [0]
backbone: {width: 0.125}
training: {epochs: 1, warmup_epochs: 0}
methods: {softmax: {}}
"""
OURS = ("sweeps", "osr_core", "analysis", "ray", "mlflow", "numpy", "torch", "psutil")


def test_a_users_own_modules_are_not_taken_for_ours(
    tmp_path: Path, with_database: Callable[[Path], Path]
):
    """Ray's workers and the reaper look for modules too; a `ray.py` of notes is easily written."""
    for name in OURS:
        (tmp_path / name).mkdir()
        code = f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\nraise SystemExit(7)\n"
        (tmp_path / name / "__init__.py").write_text(code)
    (tmp_path / "mine.yaml").write_text(SPEC)
    with_database(tmp_path / "home")
    command = [str(Path(sys.executable).with_name("osr")), "run", "mine.yaml", "--home", "home"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240
    )
    assert not (tmp_path / "imported").exists(), (tmp_path / "imported").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 trials done" in done.stdout
