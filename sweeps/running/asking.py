"""What a launch's stages ask of machines: by the spec, by what was measured, by what went wrong."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from osr_core.stage import Stage
from sweeps.planning.likeness import Group, sort_of
from sweeps.planning.resources import AUTO, Resources
from sweeps.running.data_here import Needs, needs_of
from sweeps.running.lacking import Lacking
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.packing import Need, Packing, part_for
from sweeps.running.placement import Ask, Machines, ask_of, at_least, says_type, without_types


class Asking:
    """Knows what has been measured, said and found out since the launch began.

    With `resources: {pack: auto}`, a fit for which the spec says nothing of GPUs takes a whole one
    until one of its sort was measured on it, and then as much as leaves room for its like.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.may_avoid = True  # what a type of GPU has too little of; another one may come
        self.packing, self.lacking = Packing(), Lacking()
        self._least: dict[str, float] = {}  # of a GPU, by id of a stage that ran out of memory
        self._told: dict[Group, int] = {}  # by sort, how many share a GPU as users know it
        self._avoided: dict[Group, set[str]] = defaultdict(set)  # likewise, too small types

    def ask(self, stage: Stage, machines: Machines) -> Ask:
        """What a stage asks for now."""
        ask = self._said(stage, machines)
        if self._packs(stage) and ask.gpus:
            too_small, need = self._known(stage, ask, machines)
            ask = without_types(ask, too_small)
            if need is not None:
                ask = ask._replace(gpus=part_for(need.per_gpu))
        return at_least(self._least.get(stage.id, 0.0), ask)

    def group(self, stage: Stage) -> tuple[Group, Needs]:
        """Equal for stages that ask the same of a machine: those of one kind and method, or fits of
        one sort where that decides, if they read the same data.
        """
        plain = stage.kind.name, stage.config["method"]["name"]
        return sort(stage) if self._packs(stage) else plain, needs_of(stage.config)

    def measures(self, stage: Stage, machines: Machines) -> bool:
        """Whether it is yet to be found out what a stage takes of a GPU: its like that are handed
        out ahead would queue for whole ones.
        """
        if not self._packs(stage):
            return False
        ask = self._said(stage, machines)
        return ask.gpus > 0 and self._known(stage, ask, machines)[1] is None

    def avoids(self, stage: Stage, machines: Machines, name: str) -> str | None:
        """Which GPUs are too small for a stage's sort and why, once; None: users know that."""
        if not self._packs(stage):
            return None
        reasons, _ = self._known(stage, self._said(stage, machines), machines)
        if not reasons.keys() - self._avoided[sort(stage)]:
            return None
        self._avoided[sort(stage)] |= reasons.keys()
        return (
            f"{name} and its like take no GPU of type {', '.join(sorted(reasons))}: "
            f"{'; '.join(reasons[each] for each in sorted(reasons))}. To try it all the same, set "
            "`resources: {gpus: 1}`"
        )

    def explain(self, stage: Stage, machines: Machines, name: str) -> str | None:
        """How many of a stage's sort share a GPU and why, once; None: users know that."""
        if not self._packs(stage):
            return None
        _, need = self._known(stage, self._said(stage, machines), machines)
        if need is None or self._told.get(sort(stage)) == need.per_gpu:
            return None
        self._told[sort(stage)] = need.per_gpu
        share = f"{need.per_gpu} share a GPU" if need.per_gpu > 1 else "each takes a GPU of its own"
        return f"{name} and its like: {share}, since they take {need}"

    def know(self, kind: str, config: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        """A stage has left this of what it ran on; before this launch or in it."""
        self.packing.note(sort_of(kind, config), machine)

    def note(self, outcome: Outcome, stage: Stage, node: str) -> None:
        """What is learned for others from an attempt's end, on a node by Ray's id."""
        self.lacking.note(outcome, stage, node)
        if outcome.machine is not None:
            self.know(stage.kind.name, stage.config, outcome.machine)

    def judged(self, outcome: Outcome, stage: Stage, asked: Ask) -> Outcome:
        """Let a stage that ran out of memory, of what it had asked, ask for more; its outcome, as
        it counts.

        What shares a GPU with its like gets twice its part first, then a whole GPU as all others.
        """
        if outcome.cause != Cause.OUT_OF_MEMORY:
            return outcome
        twice = 2 * asked.gpus
        crowded = 0 < twice < 1 and stage.id not in self._least and self._packs(stage)
        self._least[stage.id] = twice if crowded else 1.0
        return replace(outcome, cause=Cause.CROWDED) if crowded else outcome

    def _said(self, stage: Stage, machines: Machines) -> Ask:
        """What a stage asks for by the spec, on machines that can get its data."""
        return self.lacking.elsewhere(ask_of(stage, self.resources, machines), stage)

    def _packs(self, stage: Stage) -> bool:
        """Whether a stage may share a GPU with its like, where it takes one."""
        is_free = stage.kind.trains and self.resources.gpus_of(stage) is None
        return self.resources.pack == AUTO and is_free

    def _known(
        self, stage: Stage, ask: Ask, machines: Machines
    ) -> tuple[Mapping[str, str], Need | None]:
        """Of the GPUs that a stage may get, types that have not the memory, and why; and what it
        takes of the others.

        Those that the spec names are taken all the same, as is what one's own machine has.
        """
        types = machines.gpu_types(ask)
        may_avoid = self.may_avoid and not says_type(ask)
        too_small = self.packing.too_small(sort(stage), types - {""}) if may_avoid else {}
        return too_small, self.packing.need(sort(stage), types - too_small.keys())


def sort(stage: Stage) -> Group:
    """Equal for stages that take about as much of a GPU."""
    return sort_of(stage.kind.name, stage.config)
