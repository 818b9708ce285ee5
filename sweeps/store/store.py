"""The store: what stages leave, by stage id, on any file system that pyarrow knows (see `layout`).

The first marker stays; attempts that end at the same time cannot touch each other's artifacts.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.store.attempts import Attempts
from sweeps.store.bucket import files_at
from sweeps.store.commit import Commit
from sweeps.store.files import File, FileError, StoreError, checksum_of
from sweeps.store.layout import FORMAT, artifact_of, folder_of, marker_of, stage_of
from sweeps.store.leases import Fence, Leases
from sweeps.store.orders import Orders


class DamagedError(StoreError):
    """A result that does not match its checksum; the stage must be done again."""


class Store:
    """Reads and writes results. Every method may be called by many processes at once."""

    def __init__(self, uri: str | Path, *, of: Fence | None = None) -> None:
        """Open the store at a path or URI (s3://, gs://), making it if nothing is there.

        Raises:
            StoreError: not writable, not a store, or of a version that this code does not know.
            ElsewhereError: not the one that the driver `of` a worker uses.
        """
        self.uri = str(uri)
        try:
            self._files = files_at(uri)
            self.leases = Leases(self._files)
            self.orders = Orders(self._files)
            self.attempts = Attempts(self._files)
            if of is not None:
                self.leases.check_is_here(of)
            found = self._files.read("FORMAT")
            if found is None:
                self._files.write("FORMAT", FORMAT.encode())
        except (OSError, FileError) as error:
            raise StoreError(
                f"store {self.uri} cannot be used: {error.__cause__ or error}. "
                "Choose a folder that you can write to with --home or OSR_HOME."
            ) from error
        if found is not None and found.decode() != FORMAT:
            raise StoreError(
                f"store {self.uri} has the format {found.decode()!r}; this version reads "
                f"{FORMAT!r}. Use the version of osr-sweeps that wrote it, or another --home."
            )

    @property
    def id(self) -> str | None:
        """32 hexadecimal digits that tell this store from all others; None: none was given yet."""
        found = self._files.read("ID")
        return None if found is None else found.decode()

    def identify(self) -> str:
        """The store's id, which is drawn the first time that a driver asks for it, and stays."""
        if (found := self.id) is not None:
            return found
        drawn = uuid.uuid4().hex
        return drawn if self._files.create("ID", drawn.encode()) else str(self.id)

    # -- stages ----------------------------------------------------------------------------------

    def committed(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are done; an empty marker, as a power cut may leave, is none."""
        markers = {marker_of(stage_id): stage_id for stage_id in ids}
        sizes = self._files.sizes(list(markers))
        return {markers[name] for name, size in sizes.items() if size}

    def commit(
        self,
        stage_id: str,
        identity: Mapping[str, Any],
        artifacts: Mapping[str, bytes],
        metrics: Mapping[str, float],
        *,
        started_at: float,
        wall_s: float,
        host: str,
        code: str = "",
        machine: Mapping[str, Any] | None = None,
        epochs_at: Sequence[float | None] = (),
        fence: Fence | None = None,
    ) -> Commit:
        """Leave a stage's result: artifacts first, the marker last. The first commit stays.

        Raises:
            FencedError: `fence` is no longer the latest driver of its sweep.
        """
        if self.committed([stage_id]):
            return self.read_commit(stage_id)
        sums = {name: checksum_of(content) for name, content in artifacts.items()}
        for name, content in artifacts.items():
            self._files.write(artifact_of(stage_id, name, sums[name]), content)
        commit = Commit(
            stage=identity,
            artifacts={
                name: {"bytes": len(content), "blake2b": sums[name]}
                for name, content in artifacts.items()
            },
            metrics=metrics,
            started_at=started_at,
            wall_s=wall_s,
            host=host,
            code=code,
            machine=machine or {},
            epochs_at=list(epochs_at),
        )
        self.leases.check(fence)
        if not self._mark(stage_id, commit.encode()):
            commit = self.read_commit(stage_id)
        self._tidy(stage_id, commit)
        return commit

    def _mark(self, stage_id: str, content: bytes) -> bool:
        """Leave the marker; False if another attempt was faster."""
        marker = marker_of(stage_id)
        if self._files.sizes([marker]).get(marker) == 0:
            self._files.delete(marker)  # a power cut left it empty
        return self._files.create(marker, content)

    def _tidy(self, stage_id: str, commit: Commit) -> None:
        """Remove what a committed stage no longer needs, artifacts of other attempts included."""
        kept = {marker_of(stage_id)}
        kept |= {artifact_of(stage_id, name, a["blake2b"]) for name, a in commit.artifacts.items()}
        others = self._files.below(folder_of(stage_id)) if self._files.create_is_exact else ()
        for file in others:
            if file.name not in kept and not file.is_temporary:
                self._files.delete(file.name)
        for name in (f"failures/{stage_id}.json", f"work/{stage_id}.checkpoint"):
            self._files.delete(name)
        self._files.delete(f"work/{stage_id}.progress")

    def read_commit(self, stage_id: str) -> Commit:
        """The marker of a finished stage.

        Raises:
            StoreError: there is none. DamagedError: it cannot be read.
        """
        content = self._files.read(marker_of(stage_id))
        if content is None:
            raise StoreError(f"stage {stage_id} is not in store {self.uri}; run its sweep first")
        try:
            return Commit.decode(content)
        except ValueError as error:
            path = self._files.path(marker_of(stage_id))
            raise DamagedError(f"{path} is damaged: {error}") from error

    def read(self, stage_id: str, name: str) -> bytes:
        """One artifact.

        Raises:
            DamagedError: the file is missing or does not match its checksum; it is named.
        """
        expected = self.read_commit(stage_id).artifacts.get(name)
        if expected is None:
            raise StoreError(f"stage {stage_id} has no artifact {name}")
        file = artifact_of(stage_id, name, expected["blake2b"])
        content = self._files.read(file)
        if content is None or checksum_of(content) != expected["blake2b"]:
            raise DamagedError(
                f"{self._files.path(file)} is missing or does not match its checksum"
            )
        return content

    def read_all(self, stage_id: str) -> dict[str, bytes]:
        """All artifacts of a finished stage by name."""
        return {name: self.read(stage_id, name) for name in self.read_commit(stage_id).artifacts}

    def set_aside(self, stage_id: str) -> None:
        """Take a damaged result out of the way, so that its stage is done again.

        A result that is whole stays: another worker may have made it again in the meantime. So
        does one without a marker, which another may be writing.
        """
        if not self.committed([stage_id]):
            return
        try:
            self.read_all(stage_id)
        except DamagedError:
            self._files.move(folder_of(stage_id), f"damaged/{stage_id}-{uuid.uuid4().hex[:8]}")

    def tidy(self, ids: Iterable[str]) -> None:
        """Remove checkpoints and failures of stages that are committed, which a kill in the instant
        after a commit leaves.
        """
        left = [file for top in ("work", "failures") for file in self._files.below(top)]
        names = [file.name for file in left if not file.is_temporary]
        wanted = set(ids) & {stage_of(name) for name in names}
        done = self.committed(wanted)
        for name in names:
            if stage_of(name) in done:
                self._files.delete(name)

    def is_complete(self, trial_ids: Iterable[str], stage_ids: Iterable[str]) -> bool:
        """Whether every trial has its result, and nothing that was damaged is still to be made."""
        trials = set(trial_ids)
        return self.committed(trials) == trials and not self.to_make_again(stage_ids)

    def to_make_again(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that were set aside and are not done again yet."""
        aside = {stage_of(file.name) for file in self._files.below("damaged")}
        aside &= set(ids)
        return aside - self.committed(aside)

    # -- sweeps ----------------------------------------------------------------------------------

    def save_sweep(self, name: str, record: Mapping[str, Any]) -> None:
        """Let a name stand for a plan."""
        self._files.save(f"sweeps/{name}.json", record)

    def sweep(self, name: str) -> dict[str, Any] | None:
        """The plan that a name stands for, if any."""
        found: dict[str, Any] | None = self._files.load(f"sweeps/{name}.json")
        return found

    def sweeps(self) -> list[str]:
        """Names of all sweeps that were run."""
        names = self._files.names("sweeps", ".json")
        return sorted(name.removeprefix("sweeps/").removesuffix(".json") for name in names)

    # -- cleaning up -----------------------------------------------------------------------------

    def files(self, folder: str) -> Iterator[File]:
        """Every file below a folder of the store, temporary ones included."""
        return self._files.below(folder)

    def delete(self, names: Iterable[str]) -> None:
        """Remove files and folders; a result's marker goes first, so half of one is none."""
        for name in names:
            self._files.delete(f"{name}/commit.json")
            self._files.delete(name)
