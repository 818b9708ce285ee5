"""`osr doctor`: is everything that a sweep needs in place?"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from osr_core.errors import OsrError
from sweeps.commands.listing import show
from sweeps.commands.options import DEFAULT_HOME, DataOption, HomeOption, JsonOption, at
from sweeps.home import Home
from sweeps.launch.code_version import code_version

LOW_DISK_GB = 2


def doctor(
    home: HomeOption = DEFAULT_HOME, data_root: DataOption = None, as_json: JsonOption = False
) -> None:
    """Check that everything a sweep needs is in place."""
    findings = [vars(finding) for finding in examine(at(home), data_root)]
    show(findings, as_json)
    if any(finding["state"] == "fault" for finding in findings):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    check: str
    state: str  # "ok", "note" (a sweep may still run) or "fault"
    detail: str


def examine(home: Home, data_root: Path | None) -> Iterator[Finding]:
    """Look at everything, one finding each."""
    from osr_core.data import READERS  # these take a second, and every command imports this file
    from sweeps.store.store import Store

    yield Finding("osr-sweeps", "ok", f"{version('osr-sweeps')}, code {code_version()}")
    yield Finding(
        "python", "ok" if sys.version_info >= (3, 11) else "fault", sys.version.split()[0]
    )
    for name in ("torch", "torchvision", "ray", "mlflow", "pyarrow"):
        yield _package(name)
    yield _attempt("torchvision import", _torchvision)
    yield _attempt("devices", _devices)
    yield _attempt("store", lambda: Store(home.store).uri)
    free = shutil.disk_usage(_existing(home.root)).free / 1e9
    yield Finding("disk", "ok" if free > LOW_DISK_GB else "note", f"{free:.1f} GB free")
    yield _ray_token()
    for name, reader in READERS.items():
        try:
            files = [
                path for subset in ("train", "test") for path in reader.files(data_root, subset)
            ]
            detail = f"{len(files)} files" if files else "comes with scikit-learn"
            yield Finding(f"data {name}", "ok", detail)
        except OsrError as error:
            yield Finding(f"data {name}", "note", str(error).splitlines()[0])


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "fault", "not installed; pip install osr-sweeps")


def _attempt(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", look())
    except Exception as error:  # whatever breaks here is the finding
        return Finding(check, "fault", f"{type(error).__name__}: {error}")


def _torchvision() -> str:
    from osr_core.vision import torchvision

    return f"works ({torchvision.__version__})"


def _devices() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU"
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ", ".join(names)


def _ray_token() -> Finding:
    """A token file turns on authentication for clusters that `ray start` makes."""
    token = Path.home() / ".ray" / "auth_token"
    mode = os.environ["RAY_AUTH_MODE"]
    if token.exists() and mode != "token":
        detail = f"{token} exists: for a cluster made by `ray start`, set RAY_AUTH_MODE=token"
        return Finding("ray authentication", "note", detail)
    return Finding("ray authentication", "ok", f"RAY_AUTH_MODE={mode}")


def _existing(path: Path) -> Path:
    path = path.resolve()
    return path if path.exists() else _existing(path.parent)
