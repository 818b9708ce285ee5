"""What every method in METHODS must do; a new method is found here by itself."""

import dataclasses
from typing import Any

import pytest
import torch
from blobs import NUM_KNOWN, TRAINING, VARIANTS, Memory, Runs, context, shortened, trial
from resuming import assert_resumable

from osr_core.backbones import resolve_backbone
from osr_core.config import as_dict, build
from osr_core.data import BENCHMARKS
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.errors import ConfigError
from osr_core.execution import calibrate_method, untrained
from osr_core.methods import METHODS
from osr_core.recipes import Augmentation, Training
from osr_core.tensors import from_bytes, to_bytes
from osr_core.training import Fit

every_method = pytest.mark.parametrize("name", sorted(METHODS))
every_variant = pytest.mark.parametrize("name", sorted([*METHODS, *VARIANTS]))
SHORT = shortened(TRAINING, epochs=2)
SCHEDULES = {
    "sgd": shortened(
        TRAINING, epochs=4, warmup_epochs=1, augmentation=Augmentation(crop_padding=1, flip=True)
    ),
    "adam, held-out images, restart": Training(
        epochs=4,
        batch_size=16,
        optimizer="adam",
        lr=0.01,
        schedule="steps",
        drops=(0.25, 0.5),
        restart_at_drops=True,
        validation=0.2,
        keep="accuracy",
    ),
}


@every_variant
def test_far_images_are_told_from_known_ones(name: str, runs: Runs) -> None:
    """A short fit on blobs that any working score separates: AUROC and accuracy are 1."""
    metrics = runs.result(trial(name).score).metrics
    assert metrics["test/auroc"] == 1
    assert metrics["test/accuracy"] == 1


@every_variant
def test_a_gradient_reaches_every_parameter(name: str, runs: Runs) -> None:
    """A weight without a gradient is one that the paper does not have, or a broken graph; what is
    frozen says so.
    """
    method, train = runs.prepared(trial(name, SHORT))
    method.train()
    batch = train.augmented(next(train.shuffled(torch.Generator().manual_seed(0))))
    torch.stack(list(method.losses(batch).values())).sum().backward()
    without = [
        key
        for key, p in method.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    assert without == []


@every_variant
def test_losses_are_the_declared_terms(name: str, runs: Runs) -> None:
    """Histories, `keep` and tables name terms before any fit has run."""
    method, train = runs.prepared(trial(name, SHORT))
    batch = next(train.ordered(16))
    losses = method.losses(batch)
    assert tuple(losses) == method.terms
    assert all(term.shape == () and torch.isfinite(term) for term in losses.values())
    method.eval()
    assert set(method.validation(batch)) == {*method.terms, "accuracy"}


@every_method
@pytest.mark.parametrize("label", [-1, NUM_KNOWN])
def test_a_label_that_is_not_known_is_refused(name: str, label: int, runs: Runs) -> None:
    """Unknown classes do not exist in training; silence would train on them. All labels are looked
    at before the first epoch, since a step that looks waits for the device.
    """
    method, train = runs.prepared(trial(name, SHORT))
    images = next(train.ordered(4)).images
    wrong = Batches(ImageSet(images, torch.tensor([0, 1, label, 2])), batch_size=4)
    with pytest.raises(ValueError, match=rf"labels must be in \[0, {NUM_KNOWN}\)"):
        Fit(method, wrong, None, SHORT, seed=0)
    with pytest.raises(ValueError, match="only known classes"):
        Fit(method, train, wrong, SHORT, seed=0)
    Fit(method, train, train, SHORT, seed=0)


@every_variant
def test_predictions_have_the_promised_shapes(name: str, runs: Runs) -> None:
    """(B, K), (B,) and (B, D) in float32, and nothing that is not a number."""
    method, train = runs.prepared(trial(name, SHORT))
    method.eval()
    prediction = method(next(train.ordered(5)).images)
    assert prediction.logits.shape == (5, NUM_KNOWN)
    assert prediction.unknown_score.shape == (5,)
    assert prediction.embedding.shape == (5, method.backbone.dim)
    assert all(t.dtype == torch.float32 and torch.isfinite(t).all() for t in prediction)


@every_variant
def test_a_prediction_is_repeatable_and_stands_alone(name: str, runs: Runs) -> None:
    """In eval mode an image's score depends neither on chance nor on the images beside it."""
    stage = trial(name).score
    where = context(runs.inputs(stage))
    method = untrained(where, stage.config, NUM_KNOWN)
    method.load_state_dict(where.weights("model"))
    method.eval()
    images = torch.rand(7, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        together, again = method(images), method(images)
        alone = [method(image[None]) for image in images]
    assert torch.equal(together.unknown_score, again.unknown_score)
    assert torch.equal(together.logits, again.logits)
    scores = torch.cat([prediction.unknown_score for prediction in alone])
    logits = torch.cat([prediction.logits for prediction in alone])
    torch.testing.assert_close(scores, together.unknown_score, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(logits, together.logits, rtol=1e-3, atol=1e-4)


@every_variant
def test_saving_and_loading_changes_no_score(name: str, runs: Runs) -> None:
    """Bit for bit: the score stage must see the method that the fit left."""
    asked = trial(name, SHORT)
    method, train = runs.prepared(asked)
    Fit(method, train, None, SHORT, seed=1).run(Memory(), lambda epoch, row: None)
    calibrate_method(method, train)
    loaded = untrained(context({}), asked.score.config, NUM_KNOWN)
    loaded.load_state_dict(from_bytes(to_bytes(method.state_dict()))[0])
    loaded.eval()
    images = next(train.ordered()).images
    with torch.no_grad():
        before, after = method(images), loaded(images)
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


@every_variant
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_resumed_fit_is_bit_identical(name: str, schedule: str, runs: Runs) -> None:
    """A crash may cost time, never a different number."""
    stage = runs.last_fit(trial(name, SCHEDULES[schedule]))
    assert_resumable(stage, runs)


def test_a_resumed_memory_bank_is_bit_identical(runs: Runs) -> None:
    """With more than 200 prototypes PMAL embeds them once an epoch, and must do so again."""
    many = trial("pmal", SCHEDULES["sgd"], {"prototypes": 70})
    assert_resumable(runs.last_fit(many), runs)


def test_a_resumed_joint_fit_is_bit_identical(runs: Runs) -> None:
    """Where OpenHybrid's density reaches the network, which has two to follow."""
    joint = {"encoder_gradient": 0.5, "flow_blocks": 2, "flow_hidden": 8, "flow_lr": 0.01}
    assert_resumable(runs.last_fit(trial("openhybrid", SCHEDULES["sgd"], joint)), runs)


@every_method
def test_settings_out_of_range_are_refused(name: str) -> None:
    """Every field's bounds hold, and the message names the field."""
    cls = METHODS[name].Config
    for field in dataclasses.fields(cls):
        for bound, step in (("above", 0), ("below", 0), ("at_least", -1), ("at_most", 1)):
            if (limit := field.metadata[bound]) is not None:
                with pytest.raises(ConfigError, match=field.name):
                    build(cls, {field.name: limit + step})
        if field.metadata["choices"] is not None:
            with pytest.raises(ConfigError, match=field.name):
                build(cls, {field.name: "nonsense"})
    with pytest.raises(ConfigError, match="does not exist"):
        build(cls, {"nonsense": 1})


@every_method
def test_defaults_are_written_out_in_the_identity(name: str) -> None:
    """A changed default must change the id, so that old results do not answer a new question."""
    settings = trial(name, settings={}).score.config["method"]
    defaults = as_dict(METHODS[name].Config())
    assert settings == {"name": name, "version": METHODS[name].version, **defaults}


@every_method
@pytest.mark.parametrize("benchmark", sorted(BENCHMARKS))
def test_published_recipe_can_be_run(name: str, benchmark: str) -> None:
    """The epoch is chosen by something that the method measures, on images that are held out."""
    pair = BENCHMARKS[benchmark]
    recipe = METHODS[name].published(pair)
    resolve_backbone(recipe.backbone, image_size=32, channels=pair.known.channels)
    assert recipe.training.keep in ("last", "accuracy", *METHODS[name].terms)
    assert recipe.training.keep == "last" or recipe.training.validation > 0


@pytest.mark.parametrize(
    "name", ["mls", "openmax", "pmal", "energy", "knn", "mahalanobis", "vim", "c2ae"]
)
def test_the_softmax_classifier_is_trained_once_for(name: str) -> None:
    """Under one recipe these rows stand on the classifier that the Softmax row trains."""
    shared = trial("softmax").score.inputs["model"].id
    assert shared in {stage.id for stage in trial(name).score.walk()}


@pytest.mark.parametrize(
    ("name", "changes", "rerun"),
    [
        ("openmax", {"alpha": 3}, {"score"}),
        ("openmax", {"tail": 5}, {"calibrate", "score"}),
        ("knn", {"neighbours": 10}, {"score"}),
        ("osrci", {"steps": 3}, {"gan.generate", "fit", "score"}),
        ("g_openmax", {"alpha": 3}, {"score"}),
        ("crosr", {"scale_latents": False}, {"calibrate", "score"}),
        ("c2ae", {"inference": "predicted"}, {"score"}),
        ("cgdl", {"score": "sum"}, {"score"}),
        ("pmal", {"rejection": "probability"}, {"score"}),
        ("pmal", {"margin": 0.1}, {"fit", "score"}),
        ("pmal", {"epsilon": 0.5}, {"pmal.mine", "fit", "score"}),
        ("pmal", {"members": 3}, {"pmal.mine", "fit", "score"}),
        ("cac", {"alpha": 5.0}, {"fit", "score"}),
    ],
)
def test_a_setting_reaches_only_the_stages_that_read_it(
    name: str, changes: dict[str, Any], rerun: set[str]
) -> None:
    """Else a sweep over a threshold would train every network again."""
    before = {stage.id for stage in trial(name, settings={}).score.walk()}
    changed = list(trial(name, settings=changes).score.walk())
    new = [stage for stage in changed if stage.id not in before]
    assert {stage.kind.name for stage in new} == rerun
    third_member = 1 if changes == {"members": 3} else 0
    assert sum(stage.kind.name == "fit" for stage in new) == ("fit" in rerun) + third_member
