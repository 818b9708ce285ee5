"""Which sweep trains what several sweeps need: the others wait for it instead of training it too.

    claims/3f9a....json   whose worker has begun the stage: {"sweep": NAME, "number": N}

Only what has begun is claimed: what is queued may never get a machine, and two sweeps that share a
cluster would wait for each other. A claim only saves work. Where it is lost, or its driver has
died, the stage is trained once more, and the first marker stays.
"""

import json

from sweeps.store.files import Files
from sweeps.store.leases import Fence, Leases
from sweeps.store.witness import Life, Witness


class Claims:
    """The claims that drivers of one store have on stages."""

    def __init__(self, files: Files, leases: Leases) -> None:
        self._files = files
        self._witness = Witness(leases)

    def take(self, stage_id: str, fence: Fence) -> str | None:
        """Claim a stage that begins; the sweep that has it already, if another's worker does."""
        name, mine = _name(stage_id), {"sweep": fence.sweep, "number": fence.number}
        if self._files.create(name, json.dumps(mine).encode()):
            return None
        claim = self._files.load(name)
        if claim is not None and claim["sweep"] != fence.sweep:
            return str(claim["sweep"])
        self._files.save(name, mine)
        return None

    def holder(self, stage_id: str, fence: Fence) -> str | None:
        """The other sweep that has begun a stage, if its driver lives; a dead one's claim goes."""
        claim = self._files.load(_name(stage_id))
        if claim is None or claim["sweep"] == fence.sweep:
            return None
        if self._witness.life(claim["sweep"], claim["number"]) != Life.DEAD:
            return str(claim["sweep"])
        self._files.delete(_name(stage_id))
        return None

    def drop(self, stage_id: str, fence: Fence) -> None:
        """Give up a driver's claim on a stage, if it has one."""
        claim = self._files.load(_name(stage_id))
        if claim == {"sweep": fence.sweep, "number": fence.number}:
            self._files.delete(_name(stage_id))


def _name(stage_id: str) -> str:
    return f"claims/{stage_id}.json"
