"""MLflow's own database, where no server is named."""

import contextlib
import os
import tempfile
from pathlib import Path

from alembic.util import CommandError  # of a revision that it does not know, or of several
from mlflow import MlflowClient, __version__
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from sweeps.addresses import DATABASE, why_uri_silent
from sweeps.home import Home
from sweeps.tracking.database_file import take_along
from sweeps.tracking.errors import TrackingError, reason_of

OWN = (
    "Delete it: `osr sync SWEEP` makes it anew from the store, for each sweep that `osr status` "
    "names. What was written in MLflow's own pages goes with it."
)
TEAMS = (
    "Install that version here, or ask whoever keeps the database to bring it to this one, by "
    "`mlflow db upgrade`."
)
IN_FILE = "sqlite:///"
OTHER_VERSION = "out-of-date database schema"  # MLflow's words, for older and newer ones


def make_database(uri: str) -> None:
    """Make MLflow's SQLite file, whole or not at all: MLflow cannot mend one made by half.

    It takes MLflow dozens of steps, and a kill or a full disk may strike between any two.
    """
    path = Path(uri.removeprefix(IN_FILE))
    if not uri.startswith(IN_FILE) or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        made.touch()  # by the user's mask, where SQLite would let none but the owner write
        MlflowClient(f"{IN_FILE}{made}").search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another sweep of this home was faster
            os.link(made, path)


def make_ready(home: Home) -> None:
    """See to it that what MLflow holds of a home can be read and written.

    Raises:
        TrackingError: nobody answers; the home's database cannot be read, or, where the home was
            moved, be told; a database was made by another version of MLflow.
    """
    uri = home.tracking_uri
    check_answers(uri)
    take_along(home)
    file = Path(uri.removeprefix(IN_FILE))
    if DATABASE.fullmatch(uri) and (file.exists() or not uri.startswith(IN_FILE)):
        check_version(home)


def check_version(home: Home) -> None:
    """TrackingError where another version of MLflow has made a database.

    Of a home's own it is MLflow's advice to migrate it, which is not needed: all of it is in the
    store.
    """
    try:
        MlflowClient(home.tracking_uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, CommandError) as error:
        if OTHER_VERSION in str(error) or isinstance(error, CommandError):
            what = home.tracking or home.database
            way_out = TEAMS if home.tracking else OWN
            raise TrackingError(
                f"{what} was made by another version of MLflow than {__version__}. {way_out}"
            ) from error


def check_answers(uri: str) -> None:
    """TrackingError unless MLflow's server or database answers, within seconds.

    MLflow itself asks a database for two minutes, and then leaves SQLAlchemy's words to users.
    """
    why = why_uri_silent(uri)
    if why is None and DATABASE.fullmatch(uri) and not uri.startswith("sqlite:"):
        why = _why_closed(uri)
    if why is not None:
        raise TrackingError(
            f"MLflow cannot be reached: {why}. Results are safe on the store; try again when it is "
            "back, or correct OSR_TRACKING_URI."
        )


def check_opens(home: Home) -> None:
    """TrackingError unless MLflow can read what it has of a home."""
    make_ready(home)
    try:
        MlflowClient(home.tracking_uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, CommandError) as error:
        damaged = f" If it is damaged, delete {home.database}: `osr sync SWEEP` makes it anew."
        raise TrackingError(
            f"MLflow cannot read {home.tracking_uri}: {reason_of(error)}."
            + ("" if home.tracking else damaged)
        ) from error


def _why_closed(uri: str) -> str | None:
    """Why a database lets nobody in, such as a wrong user; None: it does."""
    try:
        engine = create_engine(uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:  # the latter of its driver
        return f"{uri} cannot be opened: {reason_of(error)}"
    return None
