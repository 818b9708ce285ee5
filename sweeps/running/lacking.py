"""Which machines cannot get which data, and where the stages that need them go instead. Pure."""

from collections import defaultdict
from dataclasses import dataclass, field

from osr_core.errors import DataError
from osr_core.stage import Stage
from sweeps.running.data_here import Needs, needs_of
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.placement import Ask, Machines

NODE = "ray.io/node-id"  # the label by which Ray tells machines apart


class NoDataError(DataError):
    """No machine of the cluster can get the data of a stage."""


@dataclass
class Lacking:
    """Machines, by Ray's ids, that have said that they cannot get some data."""

    nodes: dict[Needs, set[str]] = field(default_factory=lambda: defaultdict(set))

    def note(self, outcome: Outcome, stage: Stage, node: str) -> None:
        """Take note of what a machine has said."""
        if outcome.cause == Cause.LACKS_DATA:
            self.nodes[needs_of(stage.config)].add(node)

    def elsewhere(self, ask: Ask, stage: Stage) -> Ask:
        """The same, on none of the machines that cannot get the stage's data."""
        if not self.nodes or not (lacking := self.nodes.get(needs_of(stage.config))):
            return ask
        return ask._replace(labels=(*ask.labels, (NODE, f"!in({','.join(sorted(lacking))})")))

    def check(self, ask: Ask, outcome: Outcome, machines: Machines) -> None:
        """Insist on a machine that is left for a stage which was sent away from one.

        Raises:
            NoDataError: there is none; says what the last one has said.
        """
        if not machines.room_for(ask):
            raise NoDataError(
                f"no machine can get the data of a stage, and nothing is lost: {outcome.reason}"
            )
