"""The marker of a finished stage, `commit.json`: what it left, how it went, and a checksum."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from osr_core.identity import canonical_json, digest


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

    @property
    def finished_at(self) -> float:
        """Seconds since 1970."""
        return self.started_at + self.wall_s

    def encode(self) -> bytes:
        """The marker's content."""
        fields = asdict(self)
        return canonical_json({**fields, "checksum": digest(fields)}).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """What `encode` was given; metrics stand nowhere else, so no flipped bit may pass.

        Raises:
            ValueError: it is not what was written.
        """
        try:
            fields = json.loads(content)
            checksum = fields.pop("checksum")
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"it is no marker: {error!r}") from error
        if checksum != digest(fields):
            raise ValueError("it does not match its checksum")
        return cls(**fields)
