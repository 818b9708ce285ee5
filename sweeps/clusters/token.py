"""What lets a user into a cluster."""

import os
from pathlib import Path

from osr_core.errors import ConfigError


def token() -> str | None:
    """What lets a user in, from the places where Ray looks for it, in its order.

    Raises:
        ConfigError: a place is named and has none, or what is there is no token.
    """
    if told := os.environ.get("RAY_AUTH_TOKEN"):
        return _checked(told, "RAY_AUTH_TOKEN")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named or "~/.ray/auth_token").expanduser()
    try:
        return _checked(path.read_text(encoding="latin-1"), str(path))
    except FileNotFoundError:
        if not named:
            return None
        raise ConfigError(f"RAY_AUTH_TOKEN_PATH names '{named}', and no file is there.") from None
    except OSError as error:
        raise ConfigError(
            f"the token in {path} cannot be read: {error.strerror}. Copy the head's "
            "~/.ray/auth_token there, or set RAY_AUTH_TOKEN."
        ) from None


def _checked(told: str, place: str) -> str | None:
    """A token without the spaces around it, of letters that a request can carry."""
    found = told.strip()
    if not (found.isascii() and found.isprintable()):
        raise ConfigError(
            f"what {place} holds is no token: some of it is no plain letter. Copy the head's "
            "~/.ray/auth_token anew."
        )
    return found or None
