"""Where a user's results lie, and what Ray and MLflow are told before they are imported."""

import re
from dataclasses import dataclass
from pathlib import Path

from osr_core.errors import ConfigError
from sweeps.addresses import check_no_secret, check_tracking, holds_password

SWEEP_NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"  # it becomes part of paths
RESERVED = {  # what no sweep may be called, and why: its table could not be asked for
    **{f"cac{n}": "what `osr table` prints of the CAC paper" for n in range(1, 5)},
    **{f"pmal{n}": "what `osr table` prints of the PMAL paper" for n in range(1, 6)},
    "compare": "what `osr table` compares sweeps by",
    "default": "MLflow's own experiment, whatever a database makes of upper case",
}


@dataclass(frozen=True)
class Home:
    """The folder of one user's results: `--home`, OSR_HOME or ./osr-home."""

    root: Path
    tracking: str | None = None  # URI of an MLflow server; None: a database in this folder
    bucket: str | None = None  # URI of a store that several machines reach; None: a folder of this

    def __post_init__(self) -> None:
        if holds_password(self.tracking):
            raise ConfigError(
                "OSR_TRACKING_URI holds a password, and this URI is printed and kept in logs. Take "
                "it out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead "
                "(for a database: its own file of passwords, such as ~/.pgpass)."
            )
        if self.tracking is not None:
            check_tracking("OSR_TRACKING_URI", self.tracking)
        check_no_secret("OSR_STORE", self.bucket)

    @property
    def store(self) -> str:
        """Path or URI of stages' results: the truth."""
        return self.bucket or str(self.root.resolve() / "store")

    @property
    def tracking_uri(self) -> str:
        """MLflow's server or database."""
        return self.tracking or f"sqlite:///{self.database}"

    @property
    def database(self) -> Path:
        """MLflow's own, where no server is named."""
        return self.root.resolve() / "mlflow" / "mlflow.db"

    @property
    def artifact_uri(self) -> str | None:
        """Where MLflow's files lie; None leaves it to the server."""
        return None if self.tracking else (self.root.resolve() / "mlflow" / "artifacts").as_uri()

    @property
    def ray(self) -> Path:
        """Ray Tune's own notes; may be deleted at any time between runs."""
        return self.root / "ray"

    def export(self, sweep: str) -> Path:
        """The Parquet files of a sweep.

        Raises:
            ConfigError: no sweep can have that name.
        """
        if not re.fullmatch(SWEEP_NAME, sweep):
            raise ConfigError(
                f"'{sweep}' is not a sweep's name: lower-case letters, digits, '-', '_' and '.', "
                "beginning with a letter or digit."
            )
        return self.root / "exports" / sweep


def expanded(path: Path) -> Path:
    """A path whose "~" is a user's folder, which a shell leaves in variables and after "=".

    Raises:
        ConfigError: no user is called so.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ConfigError(f"'{path}' begins with '~', and no user is called so.") from None
