"""Which sweep trains what several sweeps need: the others wait for it instead of training it too.

    claims/3f9a....json   the driver that has handed the stage out: {"sweep": NAME, "number": N}

A claim only saves work. Where it is lost, or its driver has died, the stage is trained once more,
and the first marker stays.
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
        """Claim a stage for a driver; the sweep that has it, if another's living driver does."""
        name = _name(stage_id)
        content = json.dumps({"sweep": fence.sweep, "number": fence.number}).encode()
        if self._files.create(name, content):
            return None
        holder = self._files.load(name)
        if holder is None or (
            holder["sweep"] != fence.sweep
            and self._witness.life(holder["sweep"], holder["number"]) != Life.DEAD
        ):
            return None if holder is None else str(holder["sweep"])
        self._files.write(name, content)
        return None

    def drop(self, stage_id: str) -> None:
        """Nobody works on a stage any more."""
        self._files.delete(_name(stage_id))


def _name(stage_id: str) -> str:
    return f"claims/{stage_id}.json"
