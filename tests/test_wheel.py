"""What a user installs: the wheel carries all that the product needs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, unpacked as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = ["osr_core", "sweeps", "analysis", "pyproject.toml", "README.md", "LICENSE"]
    source.mkdir()
    subprocess.run(["cp", "-r", *tracked, str(source)], cwd=ROOT, check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("osr_sweeps-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_specs_splits_and_published_values(installed: Path):
    """Users have neither the repository nor the shared folder."""
    assert (installed / "sweeps" / "specs" / "digits.yaml").exists()
    assert (installed / "osr_core" / "data" / "protocols" / "cac.json").exists()
    assert (installed / "analysis" / "papers" / "tables.json").exists()
    assert (installed / "sweeps" / "clusters" / "fields" / "kuberay.json").exists()
    packaged = {path.name for path in (installed / "sweeps" / "specs").glob("*.yaml")}
    assert packaged == {path.name for path in (ROOT / "sweeps" / "specs").glob("*.yaml")}


def test_the_command_works_from_the_wheel(installed: Path, tmp_path: Path):
    """Away from the repository, with only what the wheel brought."""
    code = "import sweeps; print(sweeps.__file__); from sweeps.commands.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", "digits", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert '"trials": 25' in done.stdout
