"""PMAL's and PROSER's draws: a later fit has another order, mining follows the trial's seed."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from blobs import TRAINING, Runs, context, shortened, trial
from torch import Tensor

from osr_core import fit
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches, Drawn
from osr_core.execution import Result, run_stage
from osr_core.methods.pmal.stage import PROTOTYPES
from osr_core.tensors import from_bytes

SHORT, ONE_EPOCH = shortened(TRAINING, epochs=1), {"fine_tuning_epochs": 1}


@pytest.mark.parametrize(("name", "settings"), [("pmal", {}), ("proser", ONE_EPOCH)])
def test_a_later_fit_does_not_replay_its_classifiers_order(
    name: str, settings: dict[str, Any], runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts from these weights, so the same order of images would be a second pass, not new
    draws; the member's number is 0 in both.
    """
    orders: list[Tensor] = []
    shuffled = Batches.shuffled

    def noted(self: Batches, generator: torch.Generator) -> Iterator[Drawn]:
        batches = list(shuffled(self, generator))
        orders.append(torch.cat([batch.index for batch in batches]))
        return iter(batches)

    monkeypatch.setattr(Batches, "shuffled", noted)
    last = trial(name, SHORT, settings).score.inputs["model"]
    Runs().result(last)
    assert last.config["member"] == last.inputs["classifier"].config["member"] == 0
    assert torch.equal(orders[0].sort().values, orders[-1].sort().values)
    assert not torch.equal(orders[0], orders[-1])


def test_a_later_fit_holds_out_the_images_that_its_classifier_did(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its epoch must not be chosen by images that its weights have seen."""
    held_out: list[Tensor] = []
    holdout = fit.holdout

    def noted(images: ImageSet, *args: Any) -> tuple[ImageSet, ImageSet]:
        split = holdout(images, *args)
        held_out.append(split[1].images)
        return split

    monkeypatch.setattr(fit, "holdout", noted)
    validated = shortened(SHORT, validation=0.25, keep="accuracy")
    Runs().result(trial("pmal", validated, {"members": 2}).score.inputs["model"])
    first, second, last = held_out
    assert torch.equal(first, last)
    assert not torch.equal(first, second)


def mined_with(seed: int, runs: Runs, **settings: Any) -> Result:
    """What mining leaves by this seed, of the same classifiers."""
    (stage,) = (
        each
        for each in trial("pmal", SHORT, {"prototypes": 5, **settings}).score.walk()
        if each.kind.name == "pmal.mine"
    )
    where = context(runs.inputs(stage))
    return run_stage("pmal.mine", {**stage.config, "seed": seed}, where)


@pytest.mark.parametrize("settings", [{"diversity": "random"}, {"quality": "mc_dropout"}])
def test_random_draws_of_table_4_follow_the_trials_seed(
    settings: dict[str, Any], runs: Runs
) -> None:
    """The mean over seeds would else be over one choice of prototypes, or one set of masks."""
    first, again, other = (mined_with(seed, runs, **settings) for seed in (0, 0, 1))
    assert first.artifacts == again.artifacts
    assert first.artifacts != other.artifacts


def test_mining_without_draws_does_not_depend_on_the_seed(runs: Runs) -> None:
    """Algorithm 1 draws nothing."""
    first, other = (mined_with(seed, runs) for seed in (0, 1))
    index, other_index = (
        from_bytes(each.artifacts[PROTOTYPES])[0]["index"] for each in (first, other)
    )
    assert torch.equal(index, other_index)
    assert first.artifacts == other.artifacts
