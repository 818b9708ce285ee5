"""What a trial was computed on: it is not in any id, and can move numbers."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from osr_core.identity import canonical_json
from osr_core.machine import LIBRARIES
from osr_core.results.commit import Commit
from osr_core.stage import Stage
from sweeps.store.files import DamagedError
from sweeps.store.store import Store
from sweeps.tracking.tags import MADE_ON

TOLD = ("device", "hardware", "threads", "instruction_set")


class MadeOn:
    """Gathers what the markers of trials' stages say; each marker is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Mapping[str, Any]] = {}

    def tags(self, stage: Stage, result: Commit) -> dict[str, str]:
        """Of a finished stage and all upstream of it, as canonical JSON: by kind and fact, values.

        {"fit": {"device": ["cpu"], "threads": [1, 2], ...}, ...}; no tag where no marker says.
        """
        self._known[stage.id] = result.machine
        found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for made in stage.walk():
            machine = self._machine(made.id)
            told = {name: machine[name] for name in TOLD if name in machine}
            told |= {k: v for k, v in machine.get("versions", {}).items() if k in LIBRARIES}
            for name, value in told.items():
                if value not in (values := found[made.kind.name][name]):
                    values.append(value)
        in_order = {kind: {n: sorted(v) for n, v in facts.items()} for kind, facts in found.items()}
        return {MADE_ON: canonical_json(in_order)} if in_order else {}

    def _machine(self, stage_id: str) -> Mapping[str, Any]:
        if stage_id not in self._known:
            try:
                self._known[stage_id] = self._store.read_commit(stage_id).machine
            except DamagedError:  # whoever reads its artifacts sees to it
                return {}
        return self._known[stage_id]
