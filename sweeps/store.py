"""The store: what stages leave, by stage id, on any file system that pyarrow knows.

    FORMAT                       the version of this layout
    stages/3f/3f9a.../NAME       artifacts
    stages/3f/3f9a.../commit.json  written last: the stage is done if and only if it is there
    work/3f9a....checkpoint      the state of an unfinished fit
    failures/3f9a....json        why the last attempt at a stage failed
    sweeps/NAME.json             the plan that a sweep's name stands for

A local file is written under a temporary name, synced and renamed, so no reader sees half of one.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from osr_core.errors import OsrError
from osr_core.identity import canonical_json

FORMAT = "osr-sweeps store 1"


class StoreError(OsrError):
    """The store cannot be used, or what is in it does not match its checksum."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The marker of a finished stage."""

    stage: Mapping[str, Any]  # the identity that the id is the hash of
    artifacts: Mapping[str, Mapping[str, Any]]  # name -> {"bytes": ..., "blake2b": ...}
    metrics: Mapping[str, float]
    started_at: float  # seconds since 1970; metric points in MLflow carry these times
    finished_at: float
    host: str

    @property
    def wall_s(self) -> float:
        """How long the attempt that finished the stage took."""
        return self.finished_at - self.started_at


class Store:
    """Reads and writes results. Every method may be called by many processes at once."""

    def __init__(self, uri: str | Path) -> None:
        """Open the store at a path or URI (s3://, gs://), making it if nothing is there.

        Raises:
            StoreError: not writable, not a store, or of a version that this code does not know.
        """
        self.uri = str(uri)
        try:
            if "://" in self.uri:
                self._fs, self._root = pafs.FileSystem.from_uri(self.uri)
            else:
                self._fs, self._root = pafs.LocalFileSystem(), str(Path(uri).resolve())
            found = self._read("FORMAT")
            if found is None:
                self._write("FORMAT", FORMAT.encode())
        except OSError as error:
            raise StoreError(
                f"store {self.uri} cannot be used: {error}. "
                "Choose a folder that you can write to with --home or OSR_HOME."
            ) from error
        if found is not None and found.decode() != FORMAT:
            raise StoreError(
                f"store {self.uri} has the format {found.decode()!r}; this version reads "
                f"{FORMAT!r}. Use the version of osr-sweeps that wrote it, or another --home."
            )

    # -- stages ----------------------------------------------------------------------------------

    def committed(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are done."""
        paths = {self._path(_folder(stage) + "/commit.json"): stage for stage in ids}
        infos = self._fs.get_file_info(list(paths)) if paths else []
        return {paths[info.path] for info in infos if info.type == pafs.FileType.File}

    def commit(
        self,
        stage_id: str,
        identity: Mapping[str, Any],
        artifacts: Mapping[str, bytes],
        metrics: Mapping[str, float],
        *,
        started_at: float,
        host: str,
    ) -> Commit:
        """Leave a stage's result: artifacts first, the marker last. The first commit stays."""
        if self.committed([stage_id]):
            return self.read_commit(stage_id)
        for name, content in artifacts.items():
            self._write(f"{_folder(stage_id)}/{name}", content)
        sums = {
            name: {"bytes": len(content), "blake2b": _checksum(content)}
            for name, content in artifacts.items()
        }
        commit = Commit(
            stage=identity,
            artifacts=sums,
            metrics=metrics,
            started_at=started_at,
            finished_at=time.time(),
            host=host,
        )
        self._write(f"{_folder(stage_id)}/commit.json", canonical_json(asdict(commit)).encode())
        self._delete(f"failures/{stage_id}.json")
        self._delete(f"work/{stage_id}.checkpoint")
        return commit

    def read_commit(self, stage_id: str) -> Commit:
        """The marker of a finished stage; StoreError where it is missing or broken."""
        content = self._read(f"{_folder(stage_id)}/commit.json")
        if content is None:
            raise StoreError(f"stage {stage_id} is not in store {self.uri}; run its sweep first")
        try:
            return Commit(**json.loads(content))
        except (ValueError, TypeError) as error:
            path = self._path(f"{_folder(stage_id)}/commit.json")
            raise StoreError(
                f"{path} is damaged: {error}. Delete {Path(path).parent} and run the sweep again."
            ) from error

    def read(self, stage_id: str, name: str) -> bytes:
        """One artifact; StoreError names the file where it does not match its checksum."""
        expected = self.read_commit(stage_id).artifacts.get(name)
        content = self._read(f"{_folder(stage_id)}/{name}")
        path = self._path(f"{_folder(stage_id)}/{name}")
        if expected is None:
            raise StoreError(f"stage {stage_id} has no artifact {name}")
        if content is None or _checksum(content) != expected["blake2b"]:
            raise StoreError(
                f"{path} is missing or does not match its checksum. "
                f"Delete {Path(path).parent} and run the sweep again."
            )
        return content

    def read_all(self, stage_id: str) -> dict[str, bytes]:
        """All artifacts of a finished stage by name."""
        return {name: self.read(stage_id, name) for name in self.read_commit(stage_id).artifacts}

    # -- attempts --------------------------------------------------------------------------------

    def save_failure(self, stage_id: str, reason: str, traceback: str) -> None:
        """Remember why the last attempt failed."""
        failure = {"reason": reason, "traceback": traceback, "failed_at": time.time()}
        self._write(f"failures/{stage_id}.json", json.dumps(failure).encode())

    def failure(self, stage_id: str) -> dict[str, Any] | None:
        """Why the last attempt failed, if it did."""
        content = self._read(f"failures/{stage_id}.json")
        return None if content is None else json.loads(content)

    def load_checkpoint(self, stage_id: str) -> bytes | None:
        """The state of an unfinished fit, if any."""
        return self._read(f"work/{stage_id}.checkpoint")

    def save_checkpoint(self, stage_id: str, content: bytes) -> None:
        """Replace the state of an unfinished fit."""
        self._write(f"work/{stage_id}.checkpoint", content)

    # -- sweeps ----------------------------------------------------------------------------------

    def save_sweep(self, name: str, record: Mapping[str, Any]) -> None:
        """Let a name stand for a plan."""
        self._write(f"sweeps/{name}.json", json.dumps(record, sort_keys=True).encode())

    def sweep(self, name: str) -> dict[str, Any] | None:
        """The plan that a name stands for, if any."""
        content = self._read(f"sweeps/{name}.json")
        return None if content is None else json.loads(content)

    def sweeps(self) -> list[str]:
        """Names of all sweeps that were run."""
        selector = pafs.FileSelector(self._path("sweeps"), allow_not_found=True)
        names = [info.base_name for info in self._fs.get_file_info(selector)]
        return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))

    # -- files -----------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _read(self, name: str) -> bytes | None:
        try:
            with self._fs.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        if isinstance(self._fs, pafs.LocalFileSystem):
            write_atomically(Path(path), content)
            return
        with self._fs.open_output_stream(path) as stream:  # object stores show whole objects only
            stream.write(content)

    def _delete(self, name: str) -> None:
        try:
            self._fs.delete_file(self._path(name))
        except FileNotFoundError:
            return


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, sync, rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _folder(stage_id: str) -> str:
    return f"stages/{stage_id[:2]}/{stage_id}"


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
