"""What a command ends with tells a script who has to do something."""

import io
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from analysis.exports.mlflow_runs import ExportError
from osr_core.errors import ConfigError, DataError, OsrError
from sweeps.commands import app
from sweeps.commands.results import leave
from sweeps.launch.conduct import LaunchError
from sweeps.running.cluster import ClusterError
from sweeps.running.placement import UnplacedError
from sweeps.store.files import FileError
from sweeps.store.leases import FencedError, LeaseHeldError
from sweeps.tracking.errors import TrackingError

CODES = {
    2: (ConfigError, DataError, LeaseHeldError),
    3: (ClusterError, LaunchError, FileError, FencedError, TrackingError, ExportError),
    4: (UnplacedError,),
}


@pytest.mark.parametrize(
    ("error", "code"), [(error, code) for code, errors in CODES.items() for error in errors]
)
def test_a_wrong_request_and_broken_infrastructure_have_codes_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[OsrError],
    code: int,
):
    """Two asks for another request, three for another try, four for another machine."""

    def broken() -> None:
        raise error("it is so")

    monkeypatch.setattr(app, "app", broken)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "error: it is so\n"


@pytest.mark.parametrize("command", ["schema", "--version"], ids=["at once", "at the end"])
def test_output_that_does_not_fit_on_a_disk_is_said(command: str):
    """Half a table must not look like a whole one."""
    with Path("/dev/full").open("w") as full:
        osr = [sys.executable, "-m", "sweeps", command]
        done = subprocess.run(osr, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "error: the output cannot be written: No space left on device"
    assert (done.returncode, done.stderr.partition(". ")[0]) == (3, said)


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", ">&- 2>&- <&-"])
def test_a_complaint_that_nobody_hears_keeps_its_code(where: str):
    """What a script goes by; a log on a full disk made it 1, which is a failed stage."""
    osr = f"exec {sys.executable} -m sweeps table no-such-sweep {where}"
    assert subprocess.run(osr, shell=True, check=False).returncode == 2


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path):
    """A store's file would hold what Ray prints."""
    code = "from sweeps.commands.terminal import hold_closed_streams as hold; hold(); "
    code += f"import sys; sys.exit(open({str(tmp_path / 'file')!r}, 'w').fileno())"
    osr = [sys.executable, "-c", code]
    done = subprocess.run(f"exec {shlex.join(osr)} >&- 2>&- <&-", shell=True, check=False)
    assert done.returncode > 2


def test_a_full_disk_under_a_file_is_no_wrong_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Another name would not help where the place is right."""
    monkeypatch.setattr(app, "app", lambda: leave(Path("/dev/full"), b"a figure"))
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 3
    said = "error: /dev/full cannot be read or written: No space left on device. "
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_a_terminal_does_not_know_end_no_command(
    monkeypatch: pytest.MonkeyPatch, encoding: str
):
    """The means of a table, and names of classes, where PYTHONIOENCODING or a locale says so."""
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding=encoding))
    monkeypatch.setattr(app, "app", lambda: Console().print("94.3 ± 3.9, λ 0.1"))
    app.main()
    shown = "94.3 ± 3.9, λ 0.1".encode(encoding, errors="backslashreplace")
    assert printed.getvalue().strip() == shown


def test_a_reader_that_has_had_enough_hears_nothing_more():
    """`osr schema | head -1`."""
    osr = [sys.executable, "-m", "sweeps", "schema"]
    with subprocess.Popen(osr, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
