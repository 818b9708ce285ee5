"""Runs one stage in a plain Python process: config and inputs in, bytes and metrics out.

A stage function takes a `Context` and gives a `Result` (see `osr_core.context`); what gives a trial
its scores alone gets a `ScoreContext`, through which the test images can be reached.
"""

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from osr_core.backbones import backbone_named
from osr_core.context import (
    EMBEDDINGS,
    HISTORY,
    SCORES,
    STATE,
    WEIGHTS,
    Context,
    Result,
    ScoreContext,
    StageFunction,
    ValidateContext,
)
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.errors import ConfigError, TrainingError, VersionError
from osr_core.finite import refuse_lost, refuse_lost_inputs, refuse_lost_result
from osr_core.fit import trained
from osr_core.freed_memory import freed_memory_kept
from osr_core.generators import generator_for
from osr_core.kinds import (
    CALIBRATE,
    FIT,
    GENERAL,
    IMPORT_SCORES,
    IMPORT_WEIGHTS,
    NOOP,
    SCORE,
    VALIDATE,
    Kind,
    epochs_of,
)
from osr_core.methods import ImageMethod, Learner, learner_named, method_named
from osr_core.metrics import accuracy, auroc, oscr
from osr_core.precision import whole_float32
from osr_core.processes import processes
from osr_core.recipes import Training
from osr_core.scores_import import import_scores
from osr_core.scoring import balanced_sample, evaluated, score_images
from osr_core.tables import embeddings_table, history_table, table_to_bytes
from osr_core.tensors import to_bytes
from osr_core.weights_import import import_weights

__all__ = [
    "FUNCTIONS",
    "HISTORY",
    "SCORES",
    "WEIGHTS",
    "Context",
    "Result",
    "ScoreContext",
    "StageFunction",
    "check_code",
    "run_stage",
]

NUM_EMBEDDED = 2000  # test images whose embeddings are kept: 1 MB where D is 128


def fit(context: Context, config: Mapping[str, Any]) -> Result:
    """Train a method on the known classes and calibrate it; of a leg, as far as it goes."""
    with processes(context, config) as first:
        loop = trained(context, config, first)
    method, train, epochs, training = loop.method, loop.train, epochs_of(config), loop.training
    history = loop.progress.history
    refuse_lost(method.state_dict(), f"after {epochs.stop} epochs", training.lr)
    method.look_back(history[-1])
    train.before_each = context.checkpoint.between_batches
    calibrate_method(method, train)
    if isinstance(method, ImageMethod):
        refuse_lost_logits(method, train, training)
    last = {key: value for key, value in history[-1].items() if key != "wall_s"}
    artifacts = {
        WEIGHTS: to_bytes(method.state_dict()),
        HISTORY: table_to_bytes(history_table(history, epochs)),
    }
    if loop.unfinished is not None:
        artifacts[STATE] = loop.unfinished
    return Result(artifacts, last)


def calibrate(context: Context, config: Mapping[str, Any]) -> Result:
    """Fit what a method scores with, on top of a classifier that another method trained.

    All known training images take part, those too that the classifier's fit held out to choose its
    epoch by.
    """
    method = untrained(context, config, len(config["task"]["known"]))
    method.load_classifier(context.weights("classifier"))
    calibrate_method(method, context.batches(context.train(config)))
    return Result({WEIGHTS: to_bytes(method.state_dict())})


def score(context: Context, config: Mapping[str, Any]) -> Result:
    """Score every test image once, known and unknown.

    A method with prototypes also leaves them, beside the embeddings of some test images: the same
    ones for every method, hyperparameter and seed.
    """
    if not isinstance(context, ScoreContext):
        raise TypeError("score needs a ScoreContext; run it through run_stage")
    method = untrained(context, config, len(config["test"]["known"]))
    method.load_trained(context.weights("model"))
    test = context.test(config)
    batches = context.batches(ImageSet(test.images, test.labels))
    prototypes = method.prototype_embeddings()
    num_sampled = 0 if prototypes is None else NUM_EMBEDDED
    draws = generator_for("score.embeddings", config["test"])
    sample = balanced_sample(test.labels, num_sampled, draws)
    scored = score_images(method, batches, sample)
    artifacts, numbers = evaluated(
        test, config["test"], scored.logits, scored.predicted, scored.unknown_score
    )
    if prototypes is not None:
        table = embeddings_table(test.labels[sample], scored.embedding, prototypes)
        artifacts[EMBEDDINGS] = table_to_bytes(table)
    numbers["model/num_parameters"] = method.num_parameters()
    numbers["model/num_additional_parameters"] = method.num_additional_parameters()
    return Result(artifacts, numbers)


def validate(context: Context, config: Mapping[str, Any]) -> Result:
    """Score what an inner task holds out: images of known classes, and hidden ones' as unknown.

    A search chooses by these numbers. Test images are out of its reach.
    """
    if not isinstance(context, ValidateContext):
        raise TypeError("validate needs a ValidateContext; run it through run_stage")
    method = untrained(context, config, len(config["task"]["known"]))
    method.load_trained(context.weights("model"))
    images = context.held_out(config)
    batches = context.batches(images)
    nothing = torch.empty(0, dtype=torch.int64)
    scored = score_images(method, batches, nothing)
    label, predicted = images.labels.numpy(), scored.predicted.numpy()
    numbers = {"validation/accuracy": accuracy(predicted, label)}
    if config["task"]["held_out"]["hidden"]:
        unknown_score = scored.unknown_score.numpy()
        numbers["validation/auroc"] = auroc(unknown_score, label)
        numbers["validation/oscr"] = oscr(unknown_score, predicted, label)
    return Result({}, numbers)


def untrained(context: Context, config: Mapping[str, Any], num_known: int) -> ImageMethod:
    """The method that the config names, with fresh weights on the device."""
    return method_named(config["method"]["name"]).fresh(config, num_known, context.device)


@torch.no_grad()
@whole_float32()
def refuse_lost_logits(method: ImageMethod, train: Batches, training: Training) -> None:
    """Insist on numbers for every training image, without a gradient.

    Raises:
        TrainingError: weights that are finite, and so large that what they come to is not; what is
            no prediction.
    """
    method.eval()
    num_lost = torch.zeros((), dtype=torch.int64, device=train.labels.device)
    for batch in train.ordered():
        found = method(batch.images)
        method.check_prediction(found, len(batch.label))
        num_lost += (~(found.logits.isfinite().all(1) & found.unknown_score.isfinite())).sum()
    if num_lost:
        raise TrainingError(
            f"the logits or scores of {int(num_lost)} of {len(train)} training images are not "
            "finite numbers, though the network's weights are. Lower the learning rate "
            f"(lr={training.lr:g})."
        )


@torch.no_grad()
@whole_float32()
def calibrate_method(method: Learner, train: Batches) -> None:
    """`method.calibrate` as its contract promises: eval mode, no gradients, whole float32."""
    method.eval()
    method.calibrate(train)


def noop(context: Context, config: Mapping[str, Any]) -> Result:
    """Nothing; measures what the orchestration costs."""
    return Result({})


FUNCTIONS: dict[Kind, StageFunction] = {
    FIT: fit,
    CALIBRATE: calibrate,
    SCORE: score,
    VALIDATE: validate,
    NOOP: noop,
    IMPORT_WEIGHTS: import_weights,
    IMPORT_SCORES: import_scores,
}


def known_kind(name: str, config: Mapping[str, Any]) -> tuple[Kind, StageFunction] | None:
    """A kind with what runs it: a general one, or one that the stage's own method brings."""
    if name in GENERAL:
        return GENERAL[name], FUNCTIONS[GENERAL[name]]
    brought = method_named(config["method"]["name"]).kinds
    return next((each for each in brought.items() if each[0].name == name), None)


def check_code(identity: Mapping[str, Any]) -> None:
    """Refuse a stage whose id stands for other code than this process has.

    Raises:
        VersionError: this machine has another version installed, or got one since the plan was
            made; says which parts.
    """
    config = identity["config"]
    kind, method, backbone = identity["kind"], config.get("method", {}), config.get("backbone", {})
    known = known_kind(kind, config)
    versions: list[tuple[str, Any, int | str | None]]
    versions = [(f"stage {kind}", identity["version"], known and known[0].version)]
    if "version" in method:
        name = method["name"]
        versions.append((f"method {name}", method["version"], learner_named(name).version))
    if "version" in backbone:
        name = backbone["name"]
        there = None
        with suppress(ConfigError):  # it is not here, nor what it needs
            there = backbone_named(name).version
        versions.append((f"backbone {name}", backbone["version"], there))
    problems = [
        f"{what} has version {here or 'none'} here and {planned} in the plan"
        for what, planned, here in versions
        if planned != here
    ]
    if problems:
        raise VersionError(
            f"on {socket.gethostname()} {', '.join(problems)}. Install the same code on every "
            "machine, then run the sweep again."
        )


def run_stage(kind: str, config: Mapping[str, Any], context: Context) -> Result:
    """Run one stage by the name of its kind; only what gives a trial's scores sees test images.

    Raises:
        VersionError: neither general nor brought by the method that is installed here.
        TrainingError: what it was given or would leave are not finite numbers.
    """
    known = known_kind(kind, config)
    if known is None:
        raise VersionError(f"method '{config['method']['name']}' brings no stages of kind '{kind}'")
    if known[0] in (SCORE, IMPORT_SCORES):
        context = ScoreContext(**vars(context))
    if known[0] == VALIDATE:
        context = ValidateContext(**vars(context))
    refuse_lost_inputs(context.inputs)
    with freed_memory_kept():
        result = known[1](context, config)
    refuse_lost_result(kind, config, result)
    return result
