"""What every part in PARTS must do, and the stages that make images: both can be gone on with."""

import dataclasses
import io
import re
from collections.abc import Iterable, Mapping

import pyarrow.parquet as pq
import pytest
import torch
from blobs import NUM_KNOWN, SETTINGS, TRAINING, Memory, Runs, context, shortened, trial
from resuming import assert_resumable, saved_until

from osr_core.config import build
from osr_core.data.batches import Batches
from osr_core.errors import ConfigError, TrainingError
from osr_core.execution import WEIGHTS, run_stage
from osr_core.methods import METHODS, PARTS, Learner
from osr_core.methods.gan.generate import FAKES, GENERATED, Made, generate, makers_of
from osr_core.stage import Stage
from osr_core.tensors import from_bytes, to_bytes
from osr_core.training import Fit

USED_BY = {"gan": "osrci"}
GENERATES = "gan.generate"
every_part = pytest.mark.parametrize("name", sorted(PARTS))
MAKING = [
    name for name, method in METHODS.items() if any(str(k) == "gan.generate" for k in method.kinds)
]


def fit_of(name: str) -> Stage:
    """The stage that trains a part, of a trial that uses it."""
    stages = trial(USED_BY[name]).score.walk()
    return next(stage for stage in stages if stage.config["method"]["name"] == name)


def prepared(name: str) -> tuple[Learner, Batches]:
    """The part before epoch 0, and its images."""
    stage = fit_of(name)
    torch.manual_seed(0)
    part = PARTS[name].fresh(stage.config, NUM_KNOWN, torch.device("cpu"))
    return part, Batches(context({}).train(stage.config), batch_size=16)


def test_a_part_s_name_is_no_method_s() -> None:
    """A fit says by name what it trains."""
    assert not PARTS.keys() & METHODS.keys()
    assert all(part.name == name for name, part in PARTS.items())


@every_part
def test_a_resumed_part_is_bit_identical(name: str, runs: Runs) -> None:
    """As of every method's fit."""
    assert_resumable(fit_of(name), runs)


@every_part
def test_a_part_s_losses_are_its_terms_and_reach_every_parameter(name: str, runs: Runs) -> None:
    """In steps as in validation, where gradients are off."""
    part, train = prepared(name)
    batch = next(train.ordered(16))
    part.train()
    losses = part.losses(batch)
    assert tuple(losses) == part.terms
    torch.stack(list(losses.values())).sum().backward()
    without = [n for n, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    stepped = part.train_step(batch, part.optimizers(TRAINING))
    assert tuple(stepped) == part.terms
    assert not any(term.requires_grad for term in stepped.values())
    with torch.no_grad():
        assert all(bool(term.isfinite()) for term in part.eval().validation(batch).values())


@every_part
def test_a_part_s_settings_out_of_range_are_refused(name: str) -> None:
    """As of every method."""
    for field in dataclasses.fields(PARTS[name].Config):
        for bound, step in (("above", 0), ("at_least", -1), ("at_most", 1)):
            if (limit := field.metadata[bound]) is not None:
                with pytest.raises(ConfigError, match=field.name):
                    build(PARTS[name].Config, {field.name: limit + step})


@pytest.mark.parametrize(
    ("weight", "value", "order"),
    [
        (
            "discriminator.head.weight",
            torch.inf,
            "fake was lost first, in batch 1; then real (1), ",
        ),
        (
            "to_latent.weight",
            torch.nan,
            "generator was lost first, in batch 1; then reconstruction",
        ),
        (
            "generator.layers.0.weight",
            torch.nan,
            "fake was lost first, in batch 1; then penalty (1), ",
        ),
    ],
)
def test_a_part_that_loses_a_loss_names_it(
    weight: str, value: float, order: str, runs: Runs
) -> None:
    """The first of five terms of three networks; each of them takes the others with it."""
    part, train = prepared("gan")
    with torch.no_grad():
        part.get_parameter(weight).fill_(value)
    schedule = shortened(TRAINING, epochs=1, optimizer="adam", lr=0.001)
    said = f"loss is not a finite number in epoch 1 of 1: {order}"
    with pytest.raises(TrainingError, match=re.escape(said)) as lost:
        Fit(part, train, None, schedule, seed=0).run(Memory(), lambda epoch, row: None)
    assert all(term in str(lost.value) for term in part.terms)


def test_one_gan_serves_both_methods_whatever_their_schedule() -> None:
    """Its id knows neither the trial's schedule nor its network, but for what images they see."""
    ids = set()
    for name, training in (("osrci", TRAINING), ("g_openmax", shortened(TRAINING, epochs=1))):
        stages = trial(name, training).score.walk()
        ids |= {stage.id for stage in stages if stage.config["method"]["name"] == "gan"}
    assert len(ids) == 1


@pytest.mark.parametrize("name", MAKING)
def test_making_images_goes_on_where_it_was_stopped(name: str, runs: Runs) -> None:
    """After a batch, to the same bytes; what is asked whether it is due can be stopped there."""
    stages = trial(name).score.walk()
    stage = next(stage for stage in stages if stage.kind.name == "gan.generate")
    whole, memory = runs.result(stage), saved_until(1, stage, runs)
    resumed = run_stage(stage.kind.name, stage.config, context(runs.inputs(stage), memory))
    assert resumed.artifacts == whole.artifacts
    assert resumed.metrics == whole.metrics
    assert set(resumed.artifacts) == {FAKES, "generated.parquet"}


@pytest.mark.parametrize("name", MAKING)
def test_a_generator_that_has_collapsed_is_told_with_its_number(name: str, runs: Runs) -> None:
    """All images equal: nothing can be learned from them, and nothing else would say so."""
    stage = next(s for s in trial(name).score.walk() if s.kind.name == GENERATES)
    inputs = {role: dict(artifacts) for role, artifacts in runs.inputs(stage).items()}
    weights, header = from_bytes(inputs["gan"][WEIGHTS])
    last = max(name for name in weights if re.fullmatch(r"generator\.layers\.\d+\.weight", name))
    weights[last] = torch.zeros_like(weights[last])
    inputs["gan"][WEIGHTS] = to_bytes(weights, header)
    with pytest.warns(UserWarning, match=r"differ by 0\.000 of .* the generator has collapsed"):
        made = run_stage(stage.kind.name, stage.config, context(inputs))
    assert made.metrics["generate/variety"] == 0
    assert runs.result(stage).metrics["generate/variety"] > 0.1


@pytest.mark.parametrize("name", MAKING)
def test_one_image_has_no_variety(name: str, runs: Runs) -> None:
    """Neither made nor as a start; to divide by the start's deviation would end the stage."""
    settings = {**SETTINGS[name], "fakes": 1}
    stage = next(s for s in trial(name, settings=settings).score.walk() if s.kind.name == GENERATES)
    made = runs.result(stage)
    assert from_bytes(made.artifacts[FAKES])[0]["images"].shape == (1, 1, 16, 16)
    assert "generate/variety" not in made.metrics
    assert "generate/p_unknown" in made.metrics


@pytest.mark.parametrize(("num", "warned"), [(7, False), (8, True)])
def test_of_few_images_none_is_called_a_collapse(
    num: int, warned: bool, runs: Runs, recwarn: pytest.WarningsRecorder
) -> None:
    """All of them black, from starts that differ."""
    assert generated_as(zeros(starts=range(num)), runs)["generate/variety"] == 0
    assert bool(recwarn.list) == warned


def test_equal_starts_say_nothing_of_a_collapse(
    runs: Runs, recwarn: pytest.WarningsRecorder
) -> None:
    """Images that differ are not divided by 0, nor are equal ones taken for a collapse."""
    assert "generate/variety" not in generated_as(zeros(starts=[3] * 10), runs)
    assert recwarn.list == []


@pytest.mark.parametrize("name", MAKING)
def test_images_are_made_in_eval_mode(name: str, runs: Runs) -> None:
    """Dropout and statistics of a batch would tie an image to those beside it."""
    stage = next(s for s in trial(name).score.walk() if s.kind.name == GENERATES)
    makers = makers_of(context(runs.inputs(stage)), stage.config)
    networks = (makers.gan, makers.classifier)
    assert not any(module.training for network in networks for module in network.modules())


def zeros(starts: Iterable[int]) -> Made:
    """A black image from each of these training images."""
    index = torch.tensor([*starts])
    return {"images": torch.zeros(len(index), 1, 16, 16), "index": index[:, None]}


def generated_as(made: Made, runs: Runs) -> Mapping[str, float]:
    """What OSRCI's generating stage says of images that are made so, whatever its networks."""
    settings = {**SETTINGS["osrci"], "fakes": len(made["images"])}
    stages = trial("osrci", settings=settings).score.walk()
    stage = next(each for each in stages if each.kind.name == GENERATES)
    where = context(runs.inputs(stage))
    return generate(where, stage.config, lambda makers, count, draws: dict(made)).metrics


@pytest.mark.parametrize("name", MAKING)
def test_images_made_stand_beside_what_they_were_made_from(name: str, runs: Runs) -> None:
    """In the table for people, with the class and the probability of none; all in the tensors."""
    stage = next(s for s in trial(name).score.walk() if s.kind.name == "gan.generate")
    artifacts = runs.result(stage).artifacts
    tensors, _ = from_bytes(artifacts[FAKES])
    train = context({}).train(stage.config)
    rows = pq.read_table(io.BytesIO(artifacts[GENERATED])).to_pylist()
    parts = {"osrci": ["start"], "g_openmax": ["start", "partner"]}[name]
    assert tensors["images"].shape == (80, 1, 16, 16)
    assert tensors["images"].dtype == torch.uint8
    assert tensors["index"].shape == (80, len(parts))
    assert [row["role"] for row in rows] == [r for r in (*parts, "generated") for _ in range(32)]
    for row in rows:
        column, pixels = row["column"], torch.tensor(row["pixels"], dtype=torch.uint8)
        if row["role"] == "generated":
            assert torch.equal(pixels, tensors["images"][column].flatten())
            assert row["position"] is None
            continue
        position = row["position"]
        assert position == tensors["index"][column, parts.index(row["role"])]
        assert torch.equal(pixels, train.images[position].flatten())
        assert row["label"] == train.labels[position]
    unknown = [row["p_unknown"] for row in rows if row["role"] == "generated"]
    starts = [row["p_unknown"] for row in rows if row["role"] == "start"]
    assert sum(unknown) > sum(starts)


@pytest.mark.parametrize(
    ("name", "how", "other"),
    [
        ("osrci", "squared_distance", "interpolation"),
        ("g_openmax", "interpolation", "squared_distance"),
    ],
)
def test_images_made_say_how(name: str, how: str, other: str, runs: Runs) -> None:
    """How far a descent went, or where between two images one lies; starts were not made."""
    stage = next(s for s in trial(name).score.walk() if s.kind.name == GENERATES)
    rows = pq.read_table(io.BytesIO(runs.result(stage).artifacts[GENERATED])).to_pylist()
    assert all(row[other] is None for row in rows)
    assert all((row[how] is None) == (row["role"] != "generated") for row in rows)
    values = {row[how] for row in rows} - {None}
    assert len(values) > 20
    assert 0 < min(values) < max(values) < {"osrci": 4 * 4, "g_openmax": 1}[name]


def test_the_surest_image_that_g_openmax_keeps_is_told(runs: Runs) -> None:
    """Beside their mean: a fake that surely is of a class teaches the wrong thing."""
    stage = next(s for s in trial("g_openmax").score.walk() if s.kind.name == GENERATES)
    result = runs.result(stage)
    makers = makers_of(context(runs.inputs(stage)), stage.config)
    images = from_bytes(result.artifacts[FAKES])[0]["images"].float() / 255
    certainty = makers.logits(images).softmax(1).amax(1)
    told = result.metrics["generate/largest_certainty"]
    assert told == pytest.approx(float(certainty.max()), abs=0.02)  # images lose less than a level
    assert told > result.metrics["generate/certainty"]
