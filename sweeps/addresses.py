"""What the addresses of servers must look like, and whether anybody answers there."""

import re
import socket
from urllib.parse import parse_qs, urlsplit
from urllib.request import getproxies, proxy_bypass

from osr_core.errors import ConfigError

ANSWER_S = 5.0
# In the names of what a URI's query holds.
SECRETS = ("password", "passwd", "passphrase", "pwd", "secret", "token")
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
SERVER = re.compile(r"https?://[^\s/?#]+([/?#]\S*)?")
DATABASE = re.compile(r"(postgresql|mysql|mssql)(\+\w+)?://\S+|sqlite:///\S.*")


def holds_password(uri: str | None) -> bool:
    """Whether a URI has a secret in it, or what may be one where it is none."""
    try:
        parts = urlsplit(uri or "")
    except ValueError:
        return "@" in (uri or "")
    values = parse_qs(parts.query)
    inner = [word for value in values.get("odbc_connect", []) for word in value.split(";")]
    names = [*values, *(word.partition("=")[0] for word in inner)]
    named = any(secret in name.lower() for name in names for secret in SECRETS)
    return parts.password is not None or named


def check_no_secret(name: str, uri: str | None) -> None:
    """ConfigError where a bucket's address, the value of `name`, holds a secret key."""
    if holds_password(uri):
        raise ConfigError(
            f"{name} holds a secret key, and this URI is printed and kept in logs. Take it out, "
            "and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY on every machine instead (for "
            "gs://: GOOGLE_APPLICATION_CREDENTIALS)."
        )


def check_server(name: str, uri: str) -> None:
    """ConfigError unless `uri`, the value of `name`, may be a web server's."""
    if not (SERVER.fullmatch(uri) and _has_port(uri)):
        raise ConfigError(
            f"{name} must be a server's address, http://HOST:PORT, not '{uri}'.{_near(uri)}"
        )


def check_tracking(name: str, uri: str) -> None:
    """ConfigError unless `uri`, the value of `name`, may be MLflow's server or database."""
    if DATABASE.fullmatch(uri) or (SERVER.fullmatch(uri) and _has_port(uri)):
        return
    raise ConfigError(
        f"{name} must be an MLflow server, http://HOST:PORT, or a database, such as "
        f"postgresql+psycopg://USER@HOST/NAME or sqlite:////FOLDER/FILE, not '{uri}'.{_near(uri)}"
    )


def _has_port(uri: str) -> bool:
    """Whether a server's name can be one, and its port, if any."""
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _near(uri: str) -> str:
    """What was meant where only the scheme is missing."""
    whole = f"http://{uri}"
    is_near = "://" not in uri and SERVER.fullmatch(whole) and _has_port(whole)
    return f" Did you mean '{whole}'?" if is_near else ""


def why_silent(host: str, port: int) -> str | None:
    """Why nobody answers there, after seconds at most; None: somebody does."""
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None


def why_uri_silent(uri: str) -> str | None:
    """Why nobody answers at a server's or database's URI: "nobody answers at HOST:PORT (...)".

    None also where that cannot be known: behind a proxy, for a file, for several hosts.
    """
    try:
        parts = urlsplit(uri)
        scheme = parts.scheme.partition("+")[0]
        host, port = parts.hostname, parts.port or PORTS.get(scheme)
    except ValueError:
        return None
    if host is None or port is None or (scheme in getproxies() and not proxy_bypass(host)):
        return None
    why = why_silent(host, port)
    return why and f"nobody answers at {host}:{port} ({why})"
