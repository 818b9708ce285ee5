"""What a command ends with tells a script who has to do something."""

import pytest

from analysis.exports.mlflow_runs import ExportError
from osr_core.errors import ConfigError, DataError, OsrError
from sweeps.commands import app
from sweeps.launch.conduct import LaunchError
from sweeps.running.cluster import ClusterError
from sweeps.running.searcher import UnplacedError
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
