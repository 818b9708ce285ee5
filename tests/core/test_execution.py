"""What a stage may reach, and what it leaves."""

import io
import json
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from osr_core.backbones import OSRCI, resolve_backbone
from osr_core.context import HISTORY, Result
from osr_core.data import UNKNOWN, benchmark
from osr_core.data.digits import Digits
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints
from osr_core.errors import TrainingError, VersionError
from osr_core.execution import FUNCTIONS, Context, ScoreContext, check_code, run_stage
from osr_core.kinds import CALIBRATE, GENERAL, Kind
from osr_core.methods import METHODS, Softmax
from osr_core.methods.base import Prediction
from osr_core.recipes import Augmentation, Training
from osr_core.stage import Stage
from osr_core.tensors import from_bytes, to_bytes
from osr_core.trial import Trial
from tests.plain import context

SPLIT = class_split("digits", "random", 0)


def trial(**changes: Any) -> Trial:
    """One epoch of a tiny classifier on digits."""
    method = METHODS["softmax"]
    settings: dict[str, Any] = {
        "method": method,
        "config": method.Config(),
        "split": SPLIT,
        "fingerprints": fingerprints(None, benchmark("digits")),
        "backbone": resolve_backbone({"width": 0.1}, image_size=16, channels=1),
        "training": Training(epochs=1),
        "seed": 0,
    }
    return Trial(**settings | changes)


@pytest.fixture(scope="module")
def fitted() -> tuple[Stage, dict[str, bytes]]:
    """The fit of the trial above."""
    stage = trial().score.inputs["model"]
    return stage, dict(run_stage(stage.kind.name, stage.config, context({})).artifacts)


def test_equal_fits_differ_in_nothing_but_their_clock(fitted: tuple[Stage, dict[str, bytes]]):
    """To the byte; of the history only the rows that a clock has measured."""
    stage, once = fitted
    again = dict(run_stage(stage.kind.name, stage.config, context({})).artifacts)
    rows, others = [], []
    for artifacts in (once, again):
        history = pq.read_table(io.BytesIO(artifacts[HISTORY])).to_pylist()
        rows.append([row for row in history if row["metric"] != "wall_s"])
        others.append({name: content for name, content in artifacts.items() if name != HISTORY})
        assert len(rows[-1]) == len(history) - 1  # one epoch
    assert rows[0] == rows[1]
    assert others[0] == others[1] != {}


def test_training_sees_known_classes_only(fitted: tuple[Stage, dict[str, bytes]]) -> None:
    """Labels are positions among the known classes, and there is no way to the test images."""
    train = context({}).train(fitted[0].config)
    assert sorted(train.labels.unique().tolist()) == list(range(SPLIT.num_known))
    assert not hasattr(context({}), "test")


def test_only_what_gives_scores_is_given_the_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The type of the context is the proof."""
    given: list[type[Context]] = []

    def note(where: Context, config: Any) -> Result:
        given.append(type(where))
        return Result({})

    own = Kind(name="softmax.own")
    monkeypatch.setattr(Softmax, "kinds", {own: note})
    monkeypatch.setattr("osr_core.execution.FUNCTIONS", dict.fromkeys(FUNCTIONS, note))
    kinds = [*GENERAL.values(), own]
    for kind in kinds:
        run_stage(kind.name, {"method": {"name": "softmax"}}, context({}))
    assert [kind.name for kind, cls in zip(kinds, given, strict=True) if cls is ScoreContext] == [
        "score",
        "scores.import",
    ]


def test_scores_have_a_row_per_test_image(fitted: tuple[Stage, dict[str, bytes]]) -> None:
    """Known and unknown, in order, with the class that the logits say."""
    result = run_stage("score", trial().score.config, context({"model": fitted[1]}))
    rows = pq.read_table(io.BytesIO(result.artifacts["scores.parquet"])).to_pylist()
    assert len(rows) == 445
    assert len({row["image_id"] for row in rows}) == 445
    assert {row["label"] for row in rows} == {UNKNOWN, *range(SPLIT.num_known)}
    classes = {(row["label"], row["class_name"]) for row in rows}
    expected = [(position, str(number)) for position, number in enumerate(SPLIT.known)]
    assert classes == {*expected, *((UNKNOWN, str(number)) for number in SPLIT.unknown)}
    for row in rows[:20]:
        assert row["predicted"] == max(range(SPLIT.num_known), key=row["logits"].__getitem__)
    assert set(result.metrics) >= {"test/auroc", "test/accuracy", "test/oscr"}
    for side, is_unknown in (("known", False), ("unknown", True)):
        names = [row["class_name"] for row in rows if (row["label"] == UNKNOWN) == is_unknown]
        assert result.metrics[f"scored/{side}_images_min"] == min(Counter(names).values())
        assert result.metrics[f"scored/{side}_images_max"] == max(Counter(names).values())
    assert set(result.artifacts) == {"scores.parquet"}


def test_parameters_are_those_of_the_layers(fitted: tuple[Stage, dict[str, bytes]]) -> None:
    """Nine 3 x 3 convolutions with batch norms, and a head without bias; no buffers."""
    metrics = run_stage("score", trial().score.config, context({"model": fitted[1]})).metrics
    expected, before = 0, 1
    for width in (6, 6, 13, 13, 13, 13, 13, 13, 13):
        expected += 9 * before * width + 2 * width
        before = width
    assert metrics["model/num_parameters"] == expected + before * SPLIT.num_known


def test_equal_stages_leave_equal_bytes(fitted: tuple[Stage, dict[str, bytes]]) -> None:
    """On the CPU a stage is a pure function."""
    stage, artifacts = fitted
    again = run_stage(stage.kind.name, stage.config, context({})).artifacts
    assert again["weights.safetensors"] == artifacts["weights.safetensors"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"split": class_split("digits", "random", 1)},
        {"training": Training(epochs=1, lr=0.2)},
        {"backbone": resolve_backbone({"width": 0.2}, image_size=16, channels=1)},
        {"fingerprints": dict.fromkeys(fingerprints(None, benchmark("digits")), "other data")},
    ],
)
def test_what_can_change_a_fit_changes_its_id(changes: dict[str, Any]) -> None:
    """And nothing else does: the data folder and the device are not in the config."""
    assert trial(**changes).score.inputs["model"].id != trial().score.inputs["model"].id
    assert trial().score.id == trial().score.id


@pytest.mark.parametrize("raised", [OSRCI, Digits, Softmax])
def test_a_raised_version_changes_the_id_of_the_fit(
    raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the network, of how the data are read, and of the method; so the fit is made again."""
    before = trial().score
    monkeypatch.setattr(raised, "version", raised.version + 1)
    after = trial().score
    assert after.inputs["model"].id != before.inputs["model"].id
    assert after.id != before.id


def test_anchors_are_the_same_from_a_stage_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrored copies are a matter of the dataset: a calibrate stage knows no augmentation."""
    monkeypatch.setattr(Digits, "mirrored", True)
    training = Training(epochs=1, augmentation=Augmentation(flip=True))
    cac = trial(method=METHODS["cac"], config=METHODS["cac"].Config(), training=training)
    fit = cac.fit()
    left = run_stage("fit", fit.config, context({})).artifacts
    stage = cac.stage(CALIBRATE, "calibrate", inputs={"classifier": fit})
    again = run_stage("calibrate", stage.config, context({"classifier": left})).artifacts
    assert again["weights.safetensors"] == left["weights.safetensors"]


def test_a_broken_classifier_is_noticed(fitted: tuple[Stage, dict[str, bytes]]) -> None:
    """Weights of another network must not be scored with."""
    weights, _ = from_bytes(fitted[1]["weights.safetensors"])
    del weights["head.weight"]
    with pytest.raises(TrainingError, match=r"head\.weight is missing"):
        run_stage(
            "score",
            trial().score.config,
            context({"model": {"weights.safetensors": to_bytes(weights)}}),
        )


@pytest.mark.parametrize("part", ["stage fit", "method softmax", "backbone osrci"])
def test_code_of_another_version_is_refused(part: str):
    """A machine with another version installed would leave its result under the plan's id."""
    fit_stage = trial().score.inputs["model"]
    identity = json.loads(json.dumps(fit_stage.identity))
    check_code(identity)
    changed = identity if part == "stage fit" else identity["config"][part.split()[0]]
    here = changed["version"]
    changed["version"] += 1
    says = f"{part} has version {here} here and {here + 1} in the plan"
    with pytest.raises(VersionError, match=says):
        check_code(identity)


@pytest.mark.parametrize("part", ["kind", "backbone"])
def test_code_that_is_not_here_is_refused(part: str):
    """A machine with an older version installed knows neither the kind of stage nor the network."""
    identity = json.loads(json.dumps(trial().score.inputs["model"].identity))
    changed = identity if part == "kind" else identity["config"]["backbone"]
    changed["kind" if part == "kind" else "name"] = "newer"
    with pytest.raises(VersionError, match="newer has version none here"):
        check_code(identity)


def test_a_network_that_its_last_steps_lost_is_not_committed() -> None:
    """Each loss was finite before its step; nobody has looked at the last one."""
    broken = trial(training=Training(epochs=2, lr=1e3, warmup_epochs=0)).score.inputs["model"]
    with pytest.raises(TrainingError, match=r"finite.* Lower the learning rate \(lr=1000\)"):
        run_stage("fit", broken.config, context({}))


def test_logits_of_a_finite_network_are_looked_at_to_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Large weights are numbers, and their products may be none, for a single image too."""
    stage = trial().score.inputs["model"]
    num_images = len(context({}).train(stage.config))
    assert num_images > 512  # more than one batch

    def predict(method: Softmax, embedding: torch.Tensor) -> Prediction:
        logits = method.head(embedding)
        if not method.training and len(embedding) == num_images % 512:
            logits[-1, 0] = -float("inf")
        return Prediction(logits, -logits.logsumexp(1), embedding)

    monkeypatch.setattr(Softmax, "predict", predict)
    with pytest.raises(TrainingError, match=rf"scores of 1 of {num_images} training images"):
        run_stage("fit", stage.config, context({}))


def test_what_rests_on_a_lost_network_names_it(fitted: tuple[Stage, dict[str, bytes]]) -> None:
    """Else its score speaks of NaN, or a library of eigenvalues."""
    weights = from_bytes(fitted[1]["weights.safetensors"])[0]
    weights["head.weight"][0, 0] = float("nan")
    left = {"model": {"weights.safetensors": to_bytes(weights)}}
    with pytest.raises(TrainingError, match=r"what 'model' left is lost: 1 of .*head\.weight"):
        run_stage("score", trial().score.config, context(left))
