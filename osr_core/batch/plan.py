"""What a plan's file says of its stages; `osr plan SPEC --output PLAN.json` writes it."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from osr_core.errors import ConfigError, VersionError, unknown_name
from osr_core.identity import digest

FORMAT = "osr-sweeps plan 2"


def source_digest(identities: Iterable[Mapping[str, Any]]) -> str:
    """Stands for the source of some stages, since a version may hide changed files."""
    from osr_core.source import source_of  # reads the source

    return digest(sorted({source_of(identity) for identity in identities}))


@dataclass(frozen=True)
class StagePlan:
    """The stages of a plan, inputs before users."""

    code: str  # the version of the code that has planned
    source: str  # as `source_digest` gives it
    to_run: Collection[str]  # ids of stages that the home lacks
    identities: Mapping[str, Mapping[str, Any]]  # by stage id
    cpus: Mapping[str, int]  # threads, by stage id
    labels: Mapping[str, str]  # what people call a stage, by its id

    @classmethod
    def read(cls, path: Path) -> Self:
        """The plan in a file.

        Raises:
            ConfigError: there is none.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["format"] != FORMAT:
                raise KeyError(FORMAT)
            return cls(
                code=told["code"],
                source=told["source"],
                to_run=told["to_run"],
                identities={key: each["identity"] for key, each in told["stages"].items()},
                cpus={key: each["cpus"] for key, each in told["stages"].items()},
                labels={each["stage_id"]: each["label"] for each in told["record"]["stages"]},
            )
        except FileNotFoundError:
            raise ConfigError(f"there is no plan at {path}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(
                f"{path} is not a plan that this version has written. Make one where osr is: "
                "osr plan SPEC --output PLAN.json"
            ) from None

    def check_source(self) -> None:
        """Refuse other code than the plan was made with.

        Raises:
            VersionError: it is.
        """
        if source_digest(self.identities.values()) != self.source:
            raise VersionError(
                f"the files of this code are not those of {self.code}, by which the plan was "
                "made. Bring the same code to both machines, or plan again."
            )

    def wanted(self, kinds: Collection[str], done: Collection[str]) -> list[str]:
        """Ids of stages to run where those in `done` are: what the home lacks, and what that needs.

        `kinds` are the only ones that run; none stands for all.

        Raises:
            ConfigError: a kind that no stage of the plan has.
        """
        there = {identity["kind"] for identity in self.identities.values()}
        if problems := [unknown_name("--kinds", k, there) for k in kinds if k not in there]:
            raise ConfigError(problems)
        return [
            stage_id
            for stage_id, identity in self.needed(self.to_run, done).items()
            if not kinds or identity["kind"] in kinds
        ]

    def needed(
        self, ids: Iterable[str], done: Collection[str] = ()
    ) -> dict[str, Mapping[str, Any]]:
        """Identities of stages and of all that they rest on, as far as not done; inputs first."""
        needed: set[str] = set()
        for stage_id in ids:
            needed |= set(self._missing(stage_id, done, needed))
        return {each: identity for each, identity in self.identities.items() if each in needed}

    def _missing(
        self, stage_id: str, done: Collection[str], seen: Collection[str]
    ) -> Iterator[str]:
        """A stage and those upstream of it, as far as they are not done."""
        if stage_id in done or stage_id in seen:
            return
        yield stage_id
        for upstream in self.identities[stage_id]["inputs"].values():
            yield from self._missing(upstream, done, seen)
