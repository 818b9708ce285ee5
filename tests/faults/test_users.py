"""Two users and one home: its group writes all of it, others may read and hear so in sentences."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.faults.harness import ROOT

pytestmark = pytest.mark.faults
FIRST, SECOND, GROUP, STRANGERS = 60001, 60002, 60100, 60200
SPEC = """name: {name}
datasets: [digits]
splits: [0]
backbone: {{width: 0.125}}
training: {{epochs: 1, warmup_epochs: 0}}
methods: {{softmax: {{}}, {method}: {{}}}}
"""
# To read any file is their one privilege: Python itself may lie in a folder of root's.
READING = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"]


def osr_as(user: int, group: int, *arguments: str | Path, home: Path) -> CompletedProcess[str]:
    """The command of a user who is in no other group, and whose mask lets the group write."""
    own = home.parent / str(user)
    command = ["setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups", *READING]
    command += [sys.executable, "-m", "sweeps", *map(str, arguments), "--home", str(home)]
    environment = {**os.environ, "HOME": str(own), "OMP_NUM_THREADS": "1"}
    environment |= {"OSR_CACHE": str(own), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=own, umask=0o002, check=False
    )


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Of a group, by its setgid bit, where the first user has run a sweep; specs lie beside it."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can act as two users, by setpriv")
    folder = Path(tempfile.mkdtemp(prefix="osr-", dir="/tmp"))
    folder.chmod(0o755)
    for user in (FIRST, SECOND):
        (folder / str(user)).mkdir()
        os.chown(folder / str(user), user, GROUP)
    for name, method in (("first", "mls"), ("second", "cac")):
        (folder / f"{name}.yaml").write_text(SPEC.format(name=name, method=method))
    home = folder / "home"
    home.mkdir()
    os.chown(home, FIRST, GROUP)
    home.chmod(0o2775)
    done = osr_as(FIRST, GROUP, "run", folder / "first.yaml", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    yield home
    shutil.rmtree(folder)


def test_two_users_run_sweeps_in_one_home(home: Path):
    """Each takes over what the other has made, and writes to MLflow and exports of both."""
    done = osr_as(SECOND, GROUP, "run", home.parent / "second.yaml", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 4 stages are done" in done.stdout
    for user, name in ((FIRST, "second"), (SECOND, "first")):
        for command in (["sync", name], ["export", name], ["figure", "roc", "--sweep", name]):
            done = osr_as(user, GROUP, *command, home=home)
            assert done.returncode == 0, done.stdout + done.stderr
    made = [home, *home.rglob("*")]
    assert {path.stat().st_uid for path in made} == {FIRST, SECOND}
    assert {path.stat().st_gid for path in made} == {GROUP}
    assert [path for path in made if not path.stat().st_mode & 0o020] == []


@pytest.mark.brief
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_reader_hears_what_may_not_be_written(home: Path, command: str):
    """From another group: what starts Ray says it in sentences too."""
    given = [home.parent / "first.yaml"] if command == "run" else []
    done = osr_as(SECOND, STRANGERS, command, *given, home=home)
    said = done.stdout + done.stderr
    assert done.returncode == (3 if command == "run" else 1), said
    assert "Traceback" not in said
    assert "Error:" not in said
    assert "cannot be written" in " ".join(said.split())


@pytest.mark.brief
def test_a_reader_cannot_begin_a_home(home: Path):
    """A folder of somebody else's where nothing has run yet: refused in a sentence, left empty."""
    unused = home.parent / "unused"
    unused.mkdir(mode=0o755)
    done = osr_as(SECOND, STRANGERS, "run", home.parent / "first.yaml", home=unused)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 3, said
    assert "Traceback" not in said
    assert f"store {unused}/store cannot be used: Permission denied. Choose a folder" in said
    assert list(unused.iterdir()) == []
