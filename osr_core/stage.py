"""A stage: one unit of work, and the id by which its result is found again.

A stage is a pure function of its config, its inputs, the data (whose fingerprint is in the config)
and the version of the code that runs it. Its id is the hash of exactly these. What cannot change a
result (device, number of workers, where the data lie, how often a checkpoint is written) is not in
the config, and so not in the id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from osr_core.identity import digest
from osr_core.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One node of the graph that `sweeps.planning.plan` collects; `osr_core.execution` runs it."""

    kind: Kind
    config: Mapping[str, Any]  # resolved, plain JSON: all that can change the result
    inputs: Mapping[str, "Stage"] = field(default_factory=dict)  # upstream stages by role

    @property
    def effort(self) -> float:
        """A rough length, in epochs; it orders work and changes no result."""
        return self.kind.effort(self.config)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What is hashed, as plain JSON; inputs stand as their ids."""
        return {
            "kind": self.kind.name,
            "config": dict(self.config),
            "inputs": {role: stage.id for role, stage in self.inputs.items()},
            "version": self.kind.version,
        }

    @cached_property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return digest(self.identity)

    def walk(self) -> Iterator["Stage"]:
        """This stage and all upstream of it, inputs before users, each id once."""
        seen: set[str] = set()

        def visit(stage: "Stage") -> Iterator["Stage"]:
            if stage.id in seen:
                return
            seen.add(stage.id)
            for upstream in stage.inputs.values():
                yield from visit(upstream)
            yield stage

        yield from visit(self)
