"""What was made elsewhere and is brought here: weights of a network, or scores of test images.

An import is no fit. Its stage has a kind of its own, and in its id stand the method, the network,
the known classes, the digest of the file and how the file is read, but no schedule, no seed and no
training data: nobody here knows them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from osr_core.errors import ConfigError

WEIGHTS, SCORES = "weights", "scores"
STORED, RECOMPUTE = "stored", "recompute"  # whence what a method fits after its training comes
MARK = "imported"  # in the titles of rows, in every table


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A file, and how it is read."""

    what: str  # WEIGHTS or SCORES
    file: str  # its name, for people
    sha256: str  # of its bytes
    source: str = ""  # whose it is and where it lies, in the words of who brings it
    licence: str = ""
    label: str = ""  # what tells it from others in a table: "epoch 90"
    entry: str = ""  # of a checkpoint with several parts, the one that has the weights
    names: Mapping[str, str | None] = field(default_factory=dict)  # theirs -> ours; None: left out
    normalization: Mapping[str, list[float]] | None = None  # mean and std; None: as in the file
    anchors: str = ""  # STORED or RECOMPUTE, of a method that fits something after its training

    def __post_init__(self) -> None:
        if self.anchors not in ("", STORED, RECOMPUTE):
            raise ConfigError(f"anchors must be {STORED} or {RECOMPUTE}, not '{self.anchors}'.")

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides the result, as plain JSON."""
        read = {"entry": self.entry, "names": dict(self.names)}
        return {"file": self.sha256, **read, "normalization": self.normalization}

    def title(self, method: str) -> str:
        """What a row of a method's imports is called: "CAC (imported)"."""
        return f"{method} ({', '.join(filter(None, [MARK, self.label]))})"

    def plain(self) -> dict[str, Any]:
        """As plain JSON, which `Imported(**...)` takes."""
        return asdict(self)


def digest_of(content: bytes) -> str:
    """The sha256 of a file's bytes, as `sha256sum` prints it."""
    return sha256(content).hexdigest()
