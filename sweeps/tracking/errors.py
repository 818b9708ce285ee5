"""What goes wrong between here and MLflow."""

import re

from osr_core.errors import OsrError

REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")  # MLflow's; asking again would not help


class TrackingError(OsrError):
    """MLflow cannot be reached or refuses what it is sent."""

    exit_code = 3


def reason_of(error: Exception) -> str:
    """One line; of the many that a network library says, the system's own."""
    text = str(error).strip() or type(error).__name__
    found = re.search(r"\[Errno \d+\] [\w ]+", text)
    return found[0] if found else text.splitlines()[0]
