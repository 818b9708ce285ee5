"""What `osr submit` sends: the code that git tracks and the spec, never anything beside them."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.launch import shipment as module
from sweeps.launch.code_version import SHIPPED, code_version
from sweeps.launch.shipment import ROOT, Shipment, shipment
from sweeps.planning.spec import load_spec

SPEC = "name: own\ndatasets: [digits]\nsplits: [0]\nmethods: {softmax: {}}\n"
CLASSES = '{"splits": {"digits": [{"known": [0, 1], "unknown": [2]}]}}'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the three packages, a secret beside them and one that git ignores."""
    for name in ("osr_core/a.py", "sweeps/launch/b.py", "analysis/c.json", "key.pem"):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    root = tmp_path / "code"
    for words in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    (root / "sweeps" / "data.bin").write_text("not tracked")
    return root


def sent(path: Path, root: Path) -> Shipment:
    """What goes to the cluster with a spec."""
    return shipment(str(path), load_spec(str(path)), root)


def write(folder: Path, text: str = SPEC) -> Path:
    """A spec of one's own."""
    path = folder / "own.yaml"
    path.write_text(text)
    return path


def test_only_tracked_files_of_the_packages_and_the_spec_go(checkout: Path, tmp_path: Path):
    """A key or data that lie beside them stay."""
    found = sent(write(tmp_path), checkout)
    names = {"spec.yaml", "osr_core/a.py", "sweeps/launch/b.py", "analysis/c.json"}
    assert found.files.keys() == names
    assert found.files["spec.yaml"] == SPEC.encode()


def test_code_that_git_does_not_track_is_named(checkout: Path, tmp_path: Path):
    """Without it the cluster would find an import missing, minutes later."""
    (checkout / "sweeps" / "new.py").touch()
    with pytest.raises(ConfigError, match=r"git does not track sweeps/new.py, and only"):
        sent(write(tmp_path), checkout)


def test_a_failure_of_git_is_not_taken_for_no_repository(checkout: Path, tmp_path: Path):
    """All that lies in the folders was sent then, the file that is not tracked with it."""
    (checkout / ".git" / "config").write_text("[broken")
    with pytest.raises(ConfigError, match=r"only tracked files are sent: git: bad con"):
        sent(write(tmp_path), checkout)


def test_without_git_all_installed_files_go(tmp_path: Path):
    """As from a wheel; without what Python compiled."""
    for name in ("osr_core/a.py", "osr_core/__pycache__/a.pyc", "sweeps/b.py"):
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    found = sent(write(tmp_path), tmp_path / "site")
    assert found.files.keys() == {"spec.yaml", "osr_core/a.py", "sweeps/b.py"}


def test_digest_is_that_of_spec_and_code(checkout: Path, tmp_path: Path):
    """The same ones submitted twice are one job; any change makes another."""
    path = write(tmp_path)
    first = sent(path, checkout)
    assert sent(path, checkout).digest == first.digest
    assert replace(first, version="another commit").digest == first.digest
    (checkout / "osr_core" / "a.py").write_text("changed")
    assert sent(path, checkout).digest != first.digest
    assert sent(write(tmp_path, SPEC + "seeds: [1]\n"), checkout).digest != first.digest


def test_split_file_goes_along_from_the_specs_folder_alone(checkout: Path, tmp_path: Path):
    """The spec finds it there as here."""
    (tmp_path / "mine.json").write_text(CLASSES)
    found = sent(write(tmp_path, SPEC + "protocol: mine.json\n"), checkout)
    assert found.files["mine.json"] == CLASSES.encode()
    whole = write(tmp_path, SPEC + f"protocol: {tmp_path}/mine.json\n")
    with pytest.raises(ConfigError, match="cannot be sent: put it into the spec's folder"):
        sent(whole, checkout)


def test_too_much_code_is_refused_with_its_largest_files(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ray would answer with HTTP 413 after the upload."""
    monkeypatch.setattr(module, "MOST_BYTES", 3_000_000)
    (checkout / "analysis" / "c.json").write_bytes(bytes(4_000_000))
    with pytest.raises(ConfigError, match=r"The largest files: analysis/c.json \(4 MB\), "):
        sent(write(tmp_path), checkout)


def test_code_that_was_sent_names_its_commit(tmp_path: Path):
    """There is no repository on the cluster, and tables name the commit."""
    found = shipment("digits", load_spec("digits"))
    assert found.version == code_version(ROOT / "sweeps" / "launch")
    assert {"sweeps/specs/digits.yaml", "sweeps/__main__.py"} <= found.files.keys()
    found.write(tmp_path)
    assert (tmp_path / "sweeps" / "launch" / SHIPPED).exists()
    assert code_version(tmp_path / "sweeps" / "launch") == found.version
