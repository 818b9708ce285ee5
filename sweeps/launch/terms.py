"""Who runs a sweep, what for, and what it may have of a cluster that others use, too."""

import getpass
import os
import re
import socket
from dataclasses import dataclass
from typing import Any

from osr_core.errors import ConfigError
from sweeps.environment import BY
from sweeps.planning.resources import LABEL


@dataclass(frozen=True)
class Terms:
    """What a user says of a launch beside others."""

    priority: int = 0  # sweeps of a higher one come first
    most: int | None = None  # stages at once
    reason: str | None = None
    gpu_type: str | None = None  # for all stages that take a GPU, whatever the spec says

    def facts(self) -> dict[str, Any]:
        """As a lease says it."""
        return {"by": whoami(), "reason": self.reason, "priority": self.priority}


def whoami() -> str:
    """The user for whom this process works: "anna@laptop"."""
    if by := os.environ.get(BY):
        return by
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def terms_of(priority: int, most: int | None, reason: str | None, gpu_type: str | None) -> Terms:
    """As options give them.

    Raises:
        ConfigError: a type of GPU that is no name.
    """
    if gpu_type is not None and not re.fullmatch(LABEL, gpu_type):
        raise ConfigError(f"--gpu-type takes a name such as L4, A100 or H100, not '{gpu_type}'.")
    return Terms(priority, most, reason, gpu_type)
