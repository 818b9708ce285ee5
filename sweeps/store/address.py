"""What OSR_STORE and a data root may name: a folder in a bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from osr_core.errors import ConfigError, unknown_name
from sweeps.addresses import check_no_secret, why_uri_silent

STORE, DATA = "OSR_STORE", "the data root"  # what users call an address
URI = re.compile(
    r"(?P<scheme>s3|gs)://(?P<bucket>[a-z0-9][a-z0-9._-]+)(?P<folder>(/\w[\w.-]*)*)/?"
    r"(\?(?P<query>.*))?",
    re.ASCII,
)
OPTIONS = {"s3": ("region", "endpoint"), "gs": ()}  # what a URI's query may hold
EXAMPLES = {"region": "eu-central-1", "endpoint": "https://storage.example.org:9000"}


@dataclass(frozen=True)
class Address:
    """A folder in a bucket; options say which server has it, if not the cloud's usual one."""

    scheme: str
    bucket: str
    folder: str
    options: dict[str, str]

    @classmethod
    def parse(cls, uri: str, name: str = STORE) -> Self:
        """What a URI names, such as s3://bucket/folder?region=eu-central-1; `name` is what users
        call it.

        Raises:
            ConfigError: it cannot be a bucket's, or has options that do not exist.
        """
        found = URI.fullmatch(uri)
        if found is None:
            raise ConfigError(
                f"{name} must be a bucket's URI, s3://bucket/folder or gs://bucket/folder, not "
                f"'{uri}'. Buckets' names have lower-case letters, digits, '.', '_' and '-'; those "
                "of folders may have upper-case letters, too."
            )
        allowed = OPTIONS[found["scheme"]]
        options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
        for option, value in options.items():
            if option not in allowed:
                raise ConfigError(unknown_name(f"{name}'s option", option, allowed))
            if not _fits(option, value):
                raise ConfigError(
                    f"{name}'s option {option} must be such as {EXAMPLES[option]}, not '{value}'."
                )
        return cls(found["scheme"], found["bucket"], found["folder"].removeprefix("/"), options)

    def check_answers(self, name: str = STORE) -> None:
        """ConfigError where nobody listens at the server that an option names.

        Each request would be tried again for a minute, which is right for a server that was there.
        """
        if why := why_uri_silent(self.options.get("endpoint", "")):
            raise ConfigError(f"the server of {name} cannot be reached: {why}.")

    @property
    def root(self) -> str:
        """The URI without its options."""
        return f"{self.scheme}://{self.bucket}/{self.folder}".rstrip("/")


def bucket_of(data_root: str | Path | None) -> Address | None:
    """The bucket that a data root is; None: it is a folder.

    Raises:
        ConfigError: an address that cannot be a bucket's, or holds a secret.
    """
    if not re.match(r"[a-zA-Z][\w+.-]*:/", str(data_root)):
        return None
    check_no_secret(DATA, str(data_root))
    return Address.parse(str(data_root), DATA)


def _fits(name: str, value: str) -> bool:
    """Whether an option may have that value."""
    if name == "region":
        return re.fullmatch("[a-z0-9-]+", value) is not None
    try:
        server = urlsplit(value)
        is_whole = server.hostname is not None and server.port != 0  # raises where it is no port
    except ValueError:
        return False
    form = r"https?://[\w.:\[\]-]+(/[\w.-]+)*/?"
    return is_whole and re.fullmatch(form, value, re.ASCII) is not None
