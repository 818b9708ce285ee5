"""A plan in a file, which people can look at, and which is run as it was planned or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from osr_core.batch.plan import FORMAT, source_digest
from osr_core.errors import ConfigError
from sweeps.home import expanded
from sweeps.launch.outlook import Outlook
from sweeps.planning.plan import Plan, remaining
from sweeps.planning.record import plan_record, splits_in
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.running.placement import Machines, ask_of
from sweeps.store.store import Store

SUFFIX = ".json"


@dataclass(frozen=True)
class Reviewed:
    """What a file holds; `osr_core.batch` reads of it what concerns stages."""

    path: str
    store: str
    code: str  # its version
    source: str  # a digest of the source of all stages, since a version may hide changed files
    to_run: list[str]  # ids of stages
    stages: Mapping[str, Mapping[str, Any]]  # identity and cpus by stage id, for osr_core.batch
    record: Mapping[str, Any]

    @classmethod
    def of(cls, path: Path, ahead: Outlook, store: str, code: str) -> Self:
        """What `osr plan` has found.

        Raises:
            ConfigError: without the data it is not known what is to run.
        """
        if ahead.missing_data:
            raise ConfigError(f"a plan without its data cannot be run later. {ahead.missing_data}")
        to_run = [stage.id for stage in ahead.todo]
        plan, resources = ahead.plan, ahead.plan.spec.resources
        stages = {
            stage.id: {
                "identity": stage.identity,
                "cpus": ask_of(stage, resources, Machines(())).cpus,
            }
            for stage in plan.stages.values()
        }
        source, record = source_of(plan), plan_record(plan, code)
        return cls(str(path), store, code, source, to_run, stages, record)

    def write(self) -> None:
        """Into its file."""
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {name: value for name, value in vars(self).items() if name != "path"}
        path.write_text(json.dumps({"format": FORMAT} | told, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, given: str) -> Self:
        """The plan in a file.

        Raises:
            ConfigError: there is none.
        """
        path = expanded(Path(given))
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told.pop("format") != FORMAT:
                raise KeyError(FORMAT)
            return cls(str(path), **told)
        except FileNotFoundError:
            raise ConfigError(f"there is no plan at {given}. Make one: osr plan SPEC") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(
                f"{given} is not a plan that this version has written. Make one by "
                "`osr plan SPEC --output PLAN.json`; a spec ends in .yaml."
            ) from None

    @property
    def spec(self) -> SweepSpec:
        """What was planned; the file needs neither the spec's nor its splits' files."""
        return parse_spec(self.record["spec"], self.path, splits_in(self.record))

    def check(self, plan: Plan, store: Store, code: str) -> None:
        """Refuse a plan that would not do now what it said.

        Raises:
            ConfigError: says what has moved on since.
        """
        if why := self._moved_on(plan, store, code):
            raise ConfigError(
                f"{self.path} cannot be run: {why} since it was made. Look again: osr plan SPEC "
                f"--output {self.path}"
            )

    def _moved_on(self, plan: Plan, store: Store, code: str) -> str | None:
        if store.uri != self.store:
            return f"it is of store {self.store}, not of {store.uri}; or the store was moved"
        if code != self.code:
            return f"the code has moved on, from {self.code} to {code},"
        if source_of(plan) != self.source:
            return f"files of the code {code} have changed"
        if [trial["trial_id"] for trial in self.record["trials"]] != [*plan.trial_ids]:
            return "the data have changed"
        todo = remaining(plan, store.committed(plan.stages), store.to_make_again(plan.stages))
        now, then = {stage.id for stage in todo}, set(self.to_run)
        if now != then:
            return (
                f"the store has moved on: {len(then - now)} of its {len(then)} stages need not run "
                f"any more, and {len(now - then)} others must,"
            )
        return None


def source_of(plan: Plan) -> str:
    """Stands for the source of all stages of a plan."""
    return source_digest(stage.identity for stage in plan.stages.values())
