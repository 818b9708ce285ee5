"""`osr doctor`: does everything that a sweep needs work here? See `rehearsal` for what it does."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osr_core.errors import ConfigError, DataError, MissingDataError, OsrError
from sweeps.commands import rehearsal
from sweeps.commands.listing import show
from sweeps.commands.options import (
    DEFAULT_HOME,
    DataOption,
    HomeOption,
    JsonOption,
    at,
    expanded_option,
    named,
)
from sweeps.home import Home
from sweeps.launch.code_version import code_version
from sweeps.store.address import DATA, Address, bucket_of

if TYPE_CHECKING:
    from osr_core.data.base import Reader, Subset

LOW_DISK_GB = 2
SUBSETS: "tuple[Subset, ...]" = ("train", "test")


ClusterOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        parser=named,
        callback=expanded_option,
        help="Check a file that starts a cluster (ray up, KubeRay, Slurm) instead; starts nothing.",
    ),
]


def doctor(
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do once what a sweep needs, from a file to a start of Ray, and say what does not work."""
    if cluster is not None:
        from sweeps.clusters.check import check

        starts = check(cluster)
        facts = json.dumps({"file": str(cluster), "starts": starts})
        typer.echo(facts if as_json else f"ok: {starts}")
        return
    findings = [vars(finding) for finding in examine(at(home), data_root)]
    show(findings, as_json)
    if not as_json and any(
        finding["state"] == "note" and "data" in finding["check"] for finding in findings
    ):
        typer.echo("Data that is not here: docs/datasets.md, or osr datasets fetch NAME")
    if any(finding["state"] == "fault" for finding in findings):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    check: str
    state: str  # "ok", "note" (a sweep may still run) or "fault"
    detail: str


def examine(home: Home, data_root: str | None) -> Iterator[Finding]:
    """Look at everything, one finding each."""
    yield Finding("osr-sweeps", "ok", f"{version('osr-sweeps')}, code {code_version()}")
    yield Finding(
        "python", "ok" if sys.version_info >= (3, 11) else "fault", sys.version.split()[0]
    )
    for name in ("torch", "torchvision", "ray", "mlflow", "pyarrow"):
        yield _package(name)
    yield _attempt("torchvision import", _torchvision)
    yield _attempt("devices", _devices)
    yield _attempt("store", lambda: _store(home))
    if home.bucket is None:
        yield _attempt("home", lambda: _home(home))
    yield _attempt("cache", _cache)
    yield _attempt("tracking", lambda: rehearsal.mlflow_works(home))
    yield _attempt("ray start", rehearsal.ray_starts)
    free = shutil.disk_usage(_existing(home.root)).free / 1e9
    yield Finding("disk", "ok" if free > LOW_DISK_GB else "note", f"{free:.1f} GB free")
    yield _ray_token()
    yield from _data(data_root)


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "fault", "not installed; pip install osr-sweeps")


def _attempt(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", look())
    except OsrError as error:
        return Finding(check, "fault", str(error))
    except Exception as error:  # whatever breaks here is the finding
        return Finding(check, "fault", f"{type(error).__name__}: {error}")


def _torchvision() -> str:
    from osr_core.vision import torchvision

    return f"works ({torchvision.__version__})"


def _devices() -> str:
    import torch

    from sweeps.running.allotment import LocalMachine

    if not torch.cuda.is_available():
        cores = f"{LocalMachine().cpus()} of {os.cpu_count()} CPU cores"
        return f"{cores} ({platform.machine()}), no GPU"
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ", ".join(names)


def _store(home: Home) -> str:
    """Where results go; whether a run's files can be there. No store is made."""
    from sweeps.store.bucket import files_at
    from sweeps.store.folder import LocalFiles
    from sweeps.store.store import Store

    if home.bucket is not None:
        Address.parse(home.bucket).check_answers()
    store = Store.existing(home.store)
    files = files_at(home.store) if home.bucket else LocalFiles(_writable(Path(home.store)))
    rehearsal.files_work(files)
    return home.store if store else f"{home.store} (`osr run` makes it)"


def _home(home: Home) -> str:
    """Whether all that a run leaves besides its store can be there. No folder is made."""
    for place in (home.database.parent, home.root / "exports", home.ray):
        _writable(place)
    return rehearsal.folder_works(_existing(home.root))


def _writable(path: Path) -> Path:
    """A folder in which we may write, or the one that it would be made in.

    Raises:
        ConfigError: something else is there, or we may not.
    """
    folder = _existing(path)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ConfigError(f"{folder} cannot be written. Choose another --home.")
    return folder


def _cache() -> str:
    """Where decoded images go; whether they can be kept there. No folder is made."""
    from osr_core.data.cache import cache_folder  # as below

    rehearsal.cache_works(_existing(cache_folder()))
    return str(cache_folder())


def _ray_token() -> Finding:
    """A token file turns on authentication for clusters that `ray start` makes."""
    token = Path.home() / ".ray" / "auth_token"
    mode = os.environ["RAY_AUTH_MODE"]
    if token.exists() and mode != "token":
        detail = f"{token} exists: for a cluster made by `ray start`, set RAY_AUTH_MODE=token"
        return Finding("ray authentication", "note", detail)
    return Finding("ray authentication", "ok", f"RAY_AUTH_MODE={mode}")


def _data(data_root: str | None) -> Iterator[Finding]:
    """Which datasets are here; without a folder, those that need none. A bucket is looked at."""
    from osr_core.data import READERS  # it takes a second, and every command imports this file

    bucket = bucket_of(data_root)
    root = Path(data_root) if data_root and not bucket else None
    has_folder = root is not None and root.is_dir()
    if bucket:
        yield _attempt("data", lambda: _data_bucket(bucket))
    elif not has_folder:
        given = "no folder is given" if root is None else f"{root} is no folder"
        yield Finding("data", "note", f"{given}: --data-root or OSR_DATA")
    for name, reader in READERS.items():
        there = [_num_files(reader, root, subset) for subset in SUBSETS]
        lacking = [found for found in there if isinstance(found, str)]
        if lacking and has_folder:
            yield Finding(f"data {name}", "note", ", ".join(dict.fromkeys(lacking)))
        elif not lacking:
            count = sum(found for found in there if isinstance(found, int))
            yield Finding(f"data {name}", "ok", f"{count} files" if count else "built in")


def _data_bucket(address: Address) -> str:
    """How much a data root in a bucket holds; nothing of it is taken."""
    from sweeps.store.data_root import files_in  # torch takes a second to import

    address.check_answers(DATA)
    files = files_in(address)
    return f"{address.root}: {len(files)} files, {sum(each.bytes for each in files) / 1e6:.1f} MB"


def _num_files(reader: "Reader", root: Path | None, subset: "Subset") -> int | str:
    """How many files a subset has, which may be none; else what is wrong with them."""
    try:
        return len(reader.files(root, subset))
    except MissingDataError:
        return f"no {subset} images"
    except DataError as error:
        return str(error).rstrip(".")


def _existing(path: Path) -> Path:
    path = path.resolve()
    return path if path.exists() else _existing(path.parent)
