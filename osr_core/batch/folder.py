"""A store in a folder, as far as plain processes need it; `osr merge` takes its results."""

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osr_core.context import TENSORS
from osr_core.errors import OsrError, VersionError
from osr_core.results.commit import Commit
from osr_core.results.layout import FORMAT, artifact_of, checkpoint_of, folder_of, marker_of
from osr_core.results.saved_state import SavedState
from osr_core.results.whole_files import checksum_of, create_once, write_atomically
from osr_core.source import is_of_other_source


class FolderError(OsrError):
    """The folder is of no use, or a result in it is damaged."""

    exit_code = 3


class ResultFolder:
    """Results by stage id; many processes may use it at once."""

    def __init__(self, root: Path) -> None:
        """Open the store in a folder, making it if nothing is there.

        Raises:
            FolderError: it is of a version that this code does not know.
        """
        self.root = root
        create_once(root / "FORMAT", FORMAT.encode())
        found = (root / "FORMAT").read_text()
        if found != FORMAT:
            raise FolderError(
                f"store {root} has the format {found!r}; this version writes {FORMAT!r}. Use "
                "another folder."
            )

    def done(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` whose result is there; an empty marker, as a power cut leaves, is none."""
        return {stage_id for stage_id in ids if self._size(stage_id)}

    def _size(self, stage_id: str) -> int:
        marker = self.root / marker_of(stage_id)
        return marker.stat().st_size if marker.exists() else 0

    def tensors(self, stage_id: str) -> dict[str, bytes]:
        """The artifacts of a finished stage that later ones read.

        Raises:
            FolderError: one is damaged, or the marker; names the file.
        """
        left = {}
        for name, facts in self._commit(stage_id).artifacts.items():
            if name.endswith(TENSORS):
                path = self.root / artifact_of(stage_id, name, facts["blake2b"])
                content = path.read_bytes() if path.exists() else b""
                if checksum_of(content) != facts["blake2b"]:
                    raise self._damaged(path, "it is missing or does not match its checksum")
                left[name] = content
        return left

    def check_source(self, identities: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse what other code has left of some stages, given by their ids, inputs before users.

        Raises:
            VersionError: a result or a saved state is of other source, or rests on one that is.
            FolderError: a marker is damaged.
        """
        refused: set[str] = set()
        paths = []
        for stage_id, identity in identities.items():
            path, source = self._origin(stage_id)
            rests_on_refused = not refused.isdisjoint(identity["inputs"].values())
            if rests_on_refused or is_of_other_source(identity, source):
                refused.add(stage_id)
                paths += [] if path is None else [f"  {path}"]
        if paths:
            raise VersionError(
                "\n".join(["the files of this code are not those on which these rest:", *paths])
                + "\nDelete them, or use another folder, and start again."
            )

    def _origin(self, stage_id: str) -> tuple[Path | None, str]:
        """Where what is left of a stage lies, if anything is, and the digest of its source."""
        if self._size(stage_id):
            return self.root / folder_of(stage_id), self._commit(stage_id).source
        if (state := self.state(stage_id)) is not None:
            return self.root / checkpoint_of(stage_id), state.source
        return None, ""

    def _commit(self, stage_id: str) -> Commit:
        marker = self.root / marker_of(stage_id)
        try:
            return Commit.decode(marker.read_bytes())
        except ValueError as error:
            raise self._damaged(marker, str(error)) from error

    def _damaged(self, path: Path, why: str) -> FolderError:
        return FolderError(
            f"{path} is damaged: {why}. Delete the folder that it lies in, and start again."
        )

    def leave(self, stage_id: str, commit: Commit, artifacts: Mapping[str, bytes]) -> None:
        """Leave a stage's result: artifacts first, the marker last. The first commit stays."""
        for name, content in artifacts.items():
            file = artifact_of(stage_id, name, commit.artifacts[name]["blake2b"])
            write_atomically(self.root / file, content)
        marker = self.root / marker_of(stage_id)
        marker.parent.mkdir(parents=True, exist_ok=True)
        if not self._size(stage_id):
            marker.unlink(missing_ok=True)
        create_once(marker, commit.encode())
        (self.root / checkpoint_of(stage_id)).unlink(missing_ok=True)

    def state(self, stage_id: str) -> SavedState | None:
        """The state of an unfinished stage, if there is one that is whole."""
        path = self.root / checkpoint_of(stage_id)
        return SavedState.decode(path.read_bytes()) if path.exists() else None

    def save_state(self, stage_id: str, state: SavedState) -> None:
        """Replace the state of an unfinished stage."""
        write_atomically(self.root / checkpoint_of(stage_id), state.encode())

    @contextmanager
    def held(self, stage_id: str) -> Iterator[bool]:
        """Whether a stage is this process's own for a block; the system ends that with it."""
        path = self.root / f"work/{stage_id}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                if self._size(stage_id):  # who has opened it meanwhile finds the stage done
                    path.unlink(missing_ok=True)
