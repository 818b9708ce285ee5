"""What several commands take in common."""

import errno
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osr_core.errors import ConfigError
from sweeps.home import Home, expanded
from sweeps.store.address import Address, bucket_of

if TYPE_CHECKING:
    from osr_core.data.base import Reader


def named(path: str | Path) -> Path:
    """A path that an option names; an empty one would be the working folder.

    Raises:
        BadParameter: it is empty, as where a shell's variable is not set.
    """
    if not str(path).strip():
        raise typer.BadParameter("the path is empty. Is a variable not set?")
    return Path(path)


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="OSR_HOME", parser=named, metavar="PATH", help="Folder of all results."
    ),
]


def expanded_option(given: Path | None) -> Path | None:
    """What an option that names a file or folder gives."""
    return given and expanded(given)


def data_option(given: str | None) -> str | None:
    """A data root, as `data_folder` takes it.

    Raises:
        BadParameter: it is empty. ConfigError: an address that cannot be a bucket's.
    """
    if given is None or bucket_of(given) is not None:
        return given
    return str(expanded(named(given)))


DataOption = Annotated[
    str | None,
    typer.Option(
        "--data-root",
        envvar="OSR_DATA",
        metavar="PATH",
        callback=data_option,
        help="Folder with the datasets' files, or one in a bucket: s3://bucket/folder.",
    ),
]


def data_here(data_root: str | None, readers: "Iterable[Reader]") -> Path | None:
    """The folder with the data of some readers; says what it takes from a bucket."""
    from sweeps.launch.data_folder import data_folder

    return data_folder(data_root, readers, partial(typer.echo, err=True))


OutputOption = Annotated[
    Path | None,
    typer.Option(parser=named, metavar="PATH", callback=expanded_option, help="File to write."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobsOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="http://HOST:PORT",
        help="A cluster's dashboard: ask it for the job that `osr submit` made, not the store.",
    ),
]
PriorityOption = Annotated[
    int, typer.Option(help="Sweeps with a higher number go first on their cluster.")
]
MaxSlotsOption = Annotated[
    int | None, typer.Option(min=1, help="How many stages run at once at most.")
]
GpuTypeOption = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE", help="GPU type for all stages that take one, in Ray's words: L4, H100."
    ),
]
ReasonOption = Annotated[
    str | None, typer.Option(help="What the sweep is for, as `osr queue` shows it to others.")
]
DEFAULT_HOME = Path("osr-home")
NO_RESULTS = (
    "Run a sweep first: osr run digits. Or name the folder of your results: --home FOLDER, or "
    "OSR_HOME."
)
DEFAULT_PROTOCOL = "cac"  # whose splits are listed where none is named
NO_PATH = (errno.ELOOP, errno.ENAMETOOLONG)  # what no folder can be made of, whoever tries


def at(home: Path) -> Home:
    """The user's results. OSR_TRACKING_URI names an MLflow server other than the home's own,
    OSR_STORE a bucket instead of the home's store.

    Raises:
        ConfigError: a URI that cannot be one, or holds a secret; a path that cannot be one.
    """
    if "://" in str(home) or ":/" in str(home):
        raise ConfigError(
            f"the home '{home}' must be a folder. For results in a bucket set OSR_STORE to its URI."
        )
    bucket = os.environ.get("OSR_STORE") or None
    tracking = whole(os.environ.get("OSR_TRACKING_URI") or None)
    user_home = Home(expanded(home), tracking, bucket)
    try:
        user_home.root.stat()
    except OSError as error:
        if error.errno in NO_PATH:
            raise ConfigError(f"the home '{home}' cannot be one: {error.strerror}.") from error
    if bucket is not None:
        Address.parse(bucket)
    return user_home


def whole(uri: str | None) -> str | None:
    """An address of a database in a file, with the file's whole path; any other as it is.

    A launch and Ray work in different folders.
    """
    scheme, file = "sqlite:///", (uri or "").removeprefix("sqlite:///")
    if uri is None or not uri.startswith(scheme) or not file:
        return uri
    return f"{scheme}{expanded(Path(file)).absolute()}"


def with_store(home: Path) -> Home:
    """The same, for a command that asks the store.

    Raises:
        ConfigError: as for `at`, or nobody answers where the store's bucket is said to be.
    """
    user_home = at(home)
    if user_home.bucket is not None:
        Address.parse(user_home.bucket).check_answers()
    return user_home
