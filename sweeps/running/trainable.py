"""What Ray Tune runs: one trial of Tune is one stage, and its actors go from stage to stage."""

from dataclasses import asdict
from typing import Any

from ray import tune

from sweeps.running.worker import Identities, Terminations, Workplace, work


class StageTrainable(tune.Trainable):  # type: ignore[misc]
    """Runs the stage that Tune's config names, in one step."""

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
        self.stage_id = config["stage_id"]
        Terminations.watch()

    def step(self) -> dict[str, Any]:
        """Run the stage; a failed one ends like any other, with its reason."""
        return {**asdict(work(self.stage_id, self.identities, self.workplace)), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next stage into the same process."""
        self.stage_id = new_config["stage_id"]
        return True
