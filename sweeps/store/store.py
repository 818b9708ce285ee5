"""The store: what stages leave, by stage id, in a folder or a bucket (see `layout`).

The first marker stays; attempts that end at the same time cannot touch each other's artifacts.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from osr_core.results.commit import Commit, facts_of
from osr_core.results.layout import FORMAT, artifact_of, checkpoint_of, folder_of, marker_of
from osr_core.results.whole_files import checksum_of
from sweeps.store.attempts import Attempts
from sweeps.store.bucket import files_at
from sweeps.store.claims import Claims
from sweeps.store.files import DamagedError, File, NotDoneError, StoreError
from sweeps.store.layout import stage_of
from sweeps.store.leases import Fence, Leases
from sweeps.store.memories import Memories
from sweeps.store.orders import Orders
from sweeps.store.records import Records


class Store:
    """Reads and writes results. Every method may be called by many processes at once."""

    def __init__(self, uri: str | Path, *, of: Fence | None = None) -> None:
        """Open the store at a path or URI (s3://, gs://), making it if nothing is there.

        Raises:
            StoreError: not writable, not a store, or of a version that this code does not know.
            ElsewhereError: not the one that the driver `of` a worker uses.
        """
        self.uri = str(uri)
        self._files = files_at(uri)
        self.leases = Leases(self._files)
        self.orders = Orders(self._files)
        self.memories = Memories(self._files)
        self.records = Records(self._files)
        self.attempts = Attempts(self._files)
        self.claims = Claims(self._files, self.leases)
        with self._files.opened(uri):
            if of is not None:
                self.leases.check_is_here(of)
            found = self._files.read("FORMAT")
            if found is None:
                self._begin()
        if found is not None and found.decode() != FORMAT:
            raise StoreError(
                f"store {self.uri} has the format {found.decode()!r}; this version reads "
                f"{FORMAT!r}. Use the version of osr-sweeps that wrote it, or another --home."
            )

    def _begin(self) -> None:
        """Make an empty store, where no file can be made twice: markers and leases rest on that."""
        probe = f"probe-{uuid.uuid4().hex}"
        made = [self._files.create(probe, content) for content in (b"first", b"second")]
        self._files.delete(probe)
        if made != [True, False]:
            raise StoreError(
                f"store {self.uri} cannot be used: its server replaces a file that must stay (it "
                "ignores If-None-Match). Use a server that knows conditional writes, or a folder."
            )
        self._files.write("FORMAT", FORMAT.encode())

    @classmethod
    def existing(cls, uri: str | Path) -> "Store | None":
        """The store at a path or URI; None, and nothing is made, if there is none."""
        files = files_at(uri)
        with files.opened(uri):
            there = files.there("FORMAT")
        return cls(uri) if there else None

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

    def stage_ids(self) -> list[str]:
        """Of all stages that are done, as `committed` says; a copy elsewhere in it is no result."""
        whole = {file.name for file in self._files.below("stages") if file.bytes}
        ids = {name.split("/")[-2] for name in whole}
        return sorted(each for each in ids if marker_of(each) in whole)

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
        source: str = "",
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
        commit = Commit(
            stage=identity,
            artifacts=facts_of(artifacts),
            metrics=metrics,
            started_at=started_at,
            wall_s=wall_s,
            host=host,
            code=code,
            source=source,
            machine=machine or {},
            epochs_at=list(epochs_at),
        )
        return self.leave(stage_id, commit, artifacts, fence)

    def leave(
        self,
        stage_id: str,
        commit: Commit,
        artifacts: Mapping[str, bytes],
        fence: Fence | None = None,
    ) -> Commit:
        """Leave a result with its marker, as `commit` does; what stays may be a faster one's."""
        for name, content in artifacts.items():
            file = artifact_of(stage_id, name, commit.artifacts[name]["blake2b"])
            self._files.write(file, content)
        self.leases.check(fence)
        if not self._mark(stage_id, commit.encode()):
            commit = self.read_commit(stage_id)
        self._tidy(stage_id, commit)
        return commit

    def _mark(self, stage_id: str, content: bytes) -> bool:
        """Leave the marker; False if another attempt was faster."""
        marker = marker_of(stage_id)
        made = self._files.create(marker, content)
        if not made and self._files.sizes([marker]).get(marker) == 0:
            self._files.delete(marker)  # a power cut left it empty
            made = self._files.create(marker, content)
        return made

    def _tidy(self, stage_id: str, commit: Commit) -> None:
        """Remove what a committed stage no longer needs, artifacts of other attempts included."""
        kept = {marker_of(stage_id)}
        kept |= {artifact_of(stage_id, name, a["blake2b"]) for name, a in commit.artifacts.items()}
        there = self._files.below(folder_of(stage_id))
        others = [file.name for file in there if file.name not in kept and not file.is_temporary]
        notes = [checkpoint_of(stage_id), f"work/{stage_id}.progress"]
        notes += [f"failures/{stage_id}.json", f"claims/{stage_id}.json"]
        self._files.delete(*others, *notes)

    def read_commit(self, stage_id: str) -> Commit:
        """The marker of a finished stage.

        Raises:
            NotDoneError: there is none. DamagedError: it cannot be read.
        """
        content = self._files.read(marker_of(stage_id))
        if content is None:
            raise NotDoneError(f"stage {stage_id} is not in store {self.uri}; run its sweep first")
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
        return self._artifact(stage_id, name, self.read_commit(stage_id))

    def read_all(
        self, stage_id: str, suffix: str = "", *, of: Commit | None = None
    ) -> dict[str, bytes]:
        """All artifacts of a finished stage by name, or those whose names end so; those of a marker
        that was read before, where it is given.

        Raises:
            DamagedError: as for `read`.
        """
        commit = of or self.read_commit(stage_id)
        names = [name for name in commit.artifacts if name.endswith(suffix)]
        return {name: self._artifact(stage_id, name, commit) for name in names}

    def _artifact(self, stage_id: str, name: str, commit: Commit) -> bytes:
        expected = commit.artifacts.get(name)
        if expected is None:
            raise StoreError(f"stage {stage_id} has no artifact {name}")
        file = artifact_of(stage_id, name, expected["blake2b"])
        content = self._files.read(file)
        if content is None or checksum_of(content) != expected["blake2b"]:
            raise DamagedError(
                f"{self._files.path(file)} is missing or does not match its checksum"
            )
        return content

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
            self._put_aside(stage_id)

    def withdraw(self, ids: Iterable[str]) -> None:
        """Take whole results out of the way, in this order, so that their stages are done again."""
        there = self.committed(ids := list(ids))
        for stage_id in ids:
            if stage_id in there:
                self._put_aside(stage_id)

    def _put_aside(self, stage_id: str) -> None:
        self._files.move(folder_of(stage_id), f"damaged/{stage_id}-{uuid.uuid4().hex[:8]}")

    def tidy(self, ids: Iterable[str]) -> None:
        """Remove checkpoints, failures and claims of stages that are committed, which a kill in the
        instant after a commit leaves.
        """
        left = [file for top in ("work", "failures", "claims") for file in self._files.below(top)]
        names = [file.name for file in left if not file.is_temporary]
        wanted = set(ids) & {stage_of(name) for name in names}
        done = self.committed(wanted)
        if leftovers := [name for name in names if stage_of(name) in done]:
            self._files.delete(*leftovers)

    def is_complete(self, trial_ids: Iterable[str], stage_ids: Iterable[str]) -> bool:
        """Whether every trial has its result, and nothing that was damaged is still to be made."""
        trials = set(trial_ids)
        return self.committed(trials) == trials and not self.to_make_again(stage_ids)

    def to_make_again(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that were set aside and are not done again yet."""
        aside = set(self.aside(ids).values())
        return aside - self.committed(aside)

    def aside(self, ids: Iterable[str]) -> dict[str, str]:
        """Folders of results that were set aside, of those of `ids`, each with its stage."""
        wanted = set(ids)
        files = [file.name for file in self._files.below("damaged")]
        there = {name.rpartition("/")[0]: stage_of(name) for name in files}
        return {folder: stage_id for folder, stage_id in there.items() if stage_id in wanted}

    # -- sweeps ----------------------------------------------------------------------------------

    def save_sweep(self, name: str, record: Mapping[str, Any]) -> None:
        """Let a name stand for a plan."""
        self.records.save(name, record)

    def sweep(self, name: str) -> dict[str, Any] | None:
        """The plan that a name stands for, if any."""
        return self.records.load(name)

    def sweeps(self) -> list[str]:
        """Names of all sweeps that were run."""
        return self.records.names()

    # -- cleaning up -----------------------------------------------------------------------------

    def files(self, folder: str) -> list[File]:
        """Every file below a folder of the store, temporary ones included."""
        return self._files.below(folder)

    def delete(self, names: Iterable[str]) -> None:
        """Remove files and folders; a result's marker goes first, so half of one is none."""
        for name in names:
            self._files.delete(f"{name}/commit.json")
            self._files.delete_all(name)
