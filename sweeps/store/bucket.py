"""The store's files in a bucket (s3://, gs://), which has neither links nor renames."""

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import GCSStore, S3Store

from sweeps.store.address import STORE, Address
from sweeps.store.files import File, Files
from sweeps.store.folder import LocalFiles

if TYPE_CHECKING:
    from obstore import GetOptions

# Busy servers, broken connections and, but for uploads under a condition, answers that do not come
# are tried again here and nowhere else: up to a minute, and less than that where nobody listens.
RETRIES: dict[str, Any] = {
    "max_retries": 10,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(seconds=0.2),
        "max_backoff": timedelta(seconds=8),
        "base": 3,
    },
}
# A request ends when its server is silent for 30 s; how long it takes altogether is its size's.
CLIENT: dict[str, Any] = {
    "allow_http": True,
    "connect_timeout": "5s",
    "read_timeout": "30s",
    "timeout": "1h",
}
T = TypeVar("T")
PART = 5 * 1024 * 1024  # bytes; what is larger is uploaded in parts of this size
MANY = 20  # a listing tells of a thousand files at once, and of files that nobody asked for

LASTING = (
    FileNotFoundError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)


class BucketFiles(Files):
    """Objects, which are shown whole or not at all; that one is there already, its server says."""

    failures = (OSError, BaseError)
    later = "Let this machine reach the bucket and write there"

    def __init__(self, address: Address, name: str = STORE) -> None:
        """`name` is what users call the address."""
        super().__init__(address.root)
        self._address = address
        self.at_start = (
            f"Check the bucket, region and endpoint that {name} names, and on every machine the "
            "keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for gs://: "
            "GOOGLE_APPLICATION_CREDENTIALS)."
        )

    def chunks(self, file: File) -> Iterator[bytes]:
        """The content of a file in pieces, as it was when it was listed; for what is too large to
        be read at once.

        Raises:
            FileError: it is another by now, gone, or ends too early.
        """
        options: GetOptions = {"if_match": file.version} if file.version else {}
        num_bytes = 0
        with self._explained(file.name, "read"):
            for chunk in obstore.get(self._bucket, file.name, options=options).stream():
                num_bytes += len(chunk)
                yield bytes(chunk)
            if num_bytes != file.bytes:
                raise OSError(f"{num_bytes} of {file.bytes} bytes have come")

    @cached_property
    def _bucket(self) -> GCSStore | S3Store:
        """With keys from the environment or the machine's role."""
        settings: dict[str, Any] = {
            "prefix": self._address.folder or None,
            "client_options": CLIENT,
            "retry_config": RETRIES,
            **self._address.options,
        }
        kind = GCSStore if self._address.scheme == "gs" else S3Store
        return kind(self._address.bucket, **settings)

    def passes(self, error: Exception) -> bool:
        """Whatever does not lie at the request itself, or at who sends it."""
        return not isinstance(error, LASTING)

    def reason(self, error: BaseException | None) -> str:
        """The server's own words, or the library's without its notes for debugging."""
        words = str(error).partition("\n\nDebug source")[0]
        said = re.search("<Code>(.*?)</Code>(.*?<Message>(.*?)</Message>)?", words, re.DOTALL)
        return f"{said[1]} ({said[3]})" if said and said[3] else words.partition("\n")[0]

    def _wait(self, ask: Callable[[], T]) -> T:
        """In another thread where this is the main one, which hears no signal while a library
        waits for a server: a Ctrl-C would come to nothing for a minute.
        """
        if threading.current_thread() is not threading.main_thread():
            return ask()
        answer: Future[T] = Future()

        def give() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:  # whoever waits raises it
                answer.set_exception(error)

        threading.Thread(target=give, name="bucket", daemon=True).start()
        return answer.result()

    def _read(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._bucket, name).bytes())
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        self._put(name, content, "overwrite")

    def _create(self, name: str, content: bytes) -> bool:
        """By an upload that the server refuses if there is one.

        Where an answer was lost, the file that is there may be our own.
        """
        try:
            self._put(name, content, "create")
        except BaseError as error:
            found = self._read(name)
            if found is None and not isinstance(error, AlreadyExistsError):
                raise
            return found == content
        return True

    def _put(self, name: str, content: bytes, mode: Literal["create", "overwrite"]) -> None:
        """Upload; what the server's answer does not show to have arrived whole is read back."""
        answer = obstore.put(
            self._bucket, name, content, mode=mode, chunk_size=PART, max_concurrency=4
        )
        if (answer["e_tag"] or "").strip('"') != tag_of(content) and self._read(name) != content:
            raise OSError("it reads otherwise than it was written")

    def _move(self, name: str, target: str) -> None:
        """By copies."""
        names = [file.name for file in self._below(name)]
        for each in names:
            with contextlib.suppress(FileNotFoundError):
                obstore.copy(self._bucket, each, target + each.removeprefix(name))
        self._delete(names)

    def _delete(self, names: list[str]) -> None:
        """With one request where the server has one for many."""
        try:
            obstore.delete(self._bucket, names)
        except FileNotFoundError:  # by one request each, and it may have ended here
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    obstore.delete(self._bucket, name)

    def _delete_all(self, name: str) -> None:
        self._delete([name, *(file.name for file in self._below(name))])

    def _sizes(self, names: list[str]) -> dict[str, int]:
        """Of many names by listing their folder, since each name by itself is a request."""
        if len(names) >= MANY:
            there = {file.name: file.bytes for file in self._below(os.path.commonpath(names))}
            return {name: there[name] for name in names if name in there}
        sizes = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes[name] = obstore.head(self._bucket, name)["size"]
        return sizes

    def _below(self, folder: str) -> Iterator[File]:
        for page in obstore.list(self._bucket, folder):
            for found in page:
                written_at = found["last_modified"].timestamp()
                yield File(found["path"], found["size"], written_at, found["e_tag"] or "")


def tag_of(content: bytes) -> str:
    """The ETag that S3 gives to what arrived so, unless it encrypts with a key of its own."""
    sums = [_md5(content[start : start + PART]) for start in range(0, len(content), PART)]
    return f"{_md5(b''.join(sums)).hex()}-{len(sums)}" if len(sums) > 1 else _md5(content).hex()


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def files_at(uri: str | Path) -> Files:
    """Those in a folder, given by its path, or in a bucket, given by a URI (s3://, gs://)."""
    if "://" in str(uri):
        return BucketFiles(Address.parse(str(uri)))
    return LocalFiles(Path(uri))
