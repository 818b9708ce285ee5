"""The marker of a finished stage, `commit.json`: what it left, how it went, and a checksum."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from osr_core.identity import canonical_json, digest
from osr_core.results.whole_files import checksum_of

LATER = (
    "source",
    "machine",
    "epochs_at",
)  # left out where empty, as in markers that are older than these


def facts_of(artifacts: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What a marker says of each artifact: by it damage is noticed, and its file is found."""
    return {
        name: {"bytes": len(content), "blake2b": checksum_of(content)}
        for name, content in artifacts.items()
    }


@dataclass(frozen=True, kw_only=True)
class Commit:
    """What the store knows of a finished stage."""

    stage: Mapping[str, Any]  # the identity that the id is the hash of
    artifacts: Mapping[str, Mapping[str, Any]]  # name -> {"bytes": ..., "blake2b": ...}
    metrics: Mapping[str, float]
    started_at: float  # seconds since 1970; metric points in MLflow carry these times
    wall_s: float  # how long the attempt took that finished the stage, whatever clocks were set
    host: str
    code: str = ""  # the version of the code that made it
    # the digest of the source that made it (osr_core/source.py); empty: not known
    source: str = ""
    # what it ran on and what it took of that (osr_core/machine.py); empty: nobody noted it
    machine: Mapping[str, Any] = field(default_factory=dict)
    # when each epoch of a fit ended, in seconds since 1970; None, or none at all: nobody noted it
    epochs_at: Sequence[float | None] = field(default_factory=list)
    more: Mapping[str, Any] = field(default_factory=dict)  # what a later version says besides

    @property
    def finished_at(self) -> float:
        """Seconds since 1970."""
        return self.started_at + self.wall_s

    def encode(self) -> bytes:
        """The marker's content."""
        told = asdict(self)
        told |= told.pop("more")
        told = {name: value for name, value in told.items() if value or name not in LATER}
        return canonical_json({**told, "checksum": digest(told)}).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """What `encode` was given; metrics stand nowhere else, so no flipped bit may pass.

        Raises:
            ValueError: it is not what was written.
        """
        try:
            told = json.loads(content)
            checksum = told.pop("checksum")
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"it is no marker: {error!r}") from error
        if checksum != digest(told):
            raise ValueError("it does not match its checksum")
        known = {each.name for each in fields(cls)} - {"more"}
        more = {name: told.pop(name) for name in told.keys() - known}
        return cls(**told, more=more)
