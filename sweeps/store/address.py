"""What OSR_STORE may name: a folder in a bucket."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from osr_core.errors import ConfigError, unknown_name
from sweeps.addresses import why_uri_silent

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
    def parse(cls, uri: str) -> Self:
        """What a URI names, such as s3://bucket/folder?region=eu-central-1.

        Raises:
            ConfigError: it cannot be a bucket's, or has options that do not exist.
        """
        found = URI.fullmatch(uri)
        if found is None:
            raise ConfigError(
                f"OSR_STORE must be a bucket's URI, s3://bucket/folder or gs://bucket/folder, not "
                f"'{uri}'. Buckets' names have lower-case letters, digits, '.', '_' and '-'; those "
                "of folders may have upper-case letters, too."
            )
        allowed = OPTIONS[found["scheme"]]
        options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
        for name, value in options.items():
            if name not in allowed:
                raise ConfigError(unknown_name("OSR_STORE's option", name, allowed))
            if not _fits(name, value):
                raise ConfigError(
                    f"OSR_STORE's option {name} must be such as {EXAMPLES[name]}, not '{value}'."
                )
        return cls(found["scheme"], found["bucket"], found["folder"].removeprefix("/"), options)

    def check_answers(self) -> None:
        """ConfigError where nobody listens at the server that an option names.

        Each request would be tried again for a minute, which is right for a server that was there.
        """
        if why := why_uri_silent(self.options.get("endpoint", "")):
            raise ConfigError(f"the server of OSR_STORE cannot be reached: {why}.")

    @property
    def root(self) -> str:
        """The URI without its options."""
        return f"{self.scheme}://{self.bucket}/{self.folder}".rstrip("/")


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
