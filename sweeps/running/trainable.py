"""What Ray Tune runs: one trial of Tune's is one bundle, and its actors go from one to the next."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import ray
from ray import tune

from sweeps.running.checkpoint import Terminations
from sweeps.running.outcome import Cause, Outcome
from sweeps.running.worker import Identities, work
from sweeps.running.workplace import Workplace


class BundleTrainable(tune.Trainable):  # type: ignore[misc]
    """Runs the stages that Tune's config names, in one step."""

    def setup(
        self,
        config: dict[str, Any],
        identities: Identities | None = None,
        workplace: Workplace | None = None,
    ) -> None:
        """`identities` and `workplace` come once per actor, by `tune.with_parameters`."""
        assert identities is not None
        assert workplace is not None
        self.identities, self.workplace = identities, workplace
        self.bundle = config
        self.node = ray.get_runtime_context().get_node_id()
        Terminations.watch()

    def step(self) -> dict[str, Any]:
        """Run the stages; a failed one ends like any other, with its reason."""
        bundle = self.bundle
        if bundle["lacks_gpu"] and ray.cluster_resources().get("GPU"):
            return told([given_back(stage_id) for stage_id in bundle["stage_ids"]], self.node)
        known = {**self.identities, **json.loads(bundle["added"])} if bundle["added"] else None
        takes = bundle["takes"]
        given = replace(self.workplace, cpus=takes["CPU"], gpus=takes["GPU"])
        outcomes = [
            work(stage_id, known or self.identities, given) for stage_id in bundle["stage_ids"]
        ]
        return told(outcomes, self.node)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next bundle into the same process."""
        self.bundle = new_config
        return True


def given_back(stage_id: str) -> Outcome:
    """The end of a stage that is to be handed out for a GPU instead, now that there is one."""
    cause = Cause.GPU_CAME
    return Outcome(stage_id=stage_id, wall_s=0.0, cause=cause, reason=str(cause))


def told(outcomes: Iterable[Outcome], node: str) -> dict[str, Any]:
    """What Tune hands on of a bundle's end, on a node by Ray's id."""
    ended = [asdict(outcome) for outcome in outcomes]
    wall_s = sum(each["wall_s"] for each in ended)
    return {"outcomes": ended, "node": node, "wall_s": wall_s, "done": True}
