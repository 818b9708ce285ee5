"""A search sees no test image: neither by its stages nor through what it chooses."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from osr_core.config import setting
from osr_core.context import ScoreContext
from osr_core.data import benchmark, reader
from osr_core.data.imageset import ImageSet
from osr_core.data.tasks import fingerprints
from osr_core.methods import METHODS
from osr_core.methods.base import Prediction
from osr_core.methods.softmax import Softmax
from sweeps.planning.rules import RULES
from sweeps.planning.spec import SweepSpec
from sweeps.search.subject import Subject
from tests.plain import results
from tests.sweeps.search.worlds import spec_with

BRIEF = {"backbone": {"width": 0.1}, "training": {"epochs": 1, "warmup_epochs": 0}}


class Guess(Softmax):
    """Calls unknown what looks like the mean image of one class, whichever it is told."""

    name = "guess"
    title = "Guess"
    source = "a test"

    @dataclass(frozen=True, kw_only=True)
    class Config(Softmax.Config):
        """Of which class."""

        guessed: int = setting(0, "class that is unknown, it believes", read_by="score")

    def forward(self, images: Tensor) -> Prediction:
        said = super().forward(images)
        every = reader("digits").at(None, "test", images.shape[-1])
        mean = (every.images[:][every.labels == self.config.guessed].float() / 255).mean(0)
        distance = (images.mean(1) - mean.mean(0)).flatten(1).norm(dim=1)
        return said._replace(unknown_score=-distance)


@pytest.fixture(autouse=True)
def guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method, as if a plugin had brought it."""
    monkeypatch.setitem(METHODS.loaded, "guess", Guess)


def subject_of(spec: SweepSpec) -> Subject:
    """What the first search of a spec is about."""
    return Subject(spec, spec.searches[0], "digits", fingerprints(None, benchmark("digits")))


def numbers(subject: Subject) -> Iterator[dict[str, float]]:
    """What each rule finds of each of the ten guesses, on one split."""
    for guessed in range(10):
        (step,) = subject.trials({"guessed": guessed})
        found = {}
        for name, trial in step.items():
            *_, (_, result) = results(trial.score.walk())
            found[name] = RULES[name].value(result.metrics)
        yield found


def test_only_an_oracle_profits_from_seeing_unknown_classes():
    """The best guess by the oracle is an unknown class; no other rule ever prefers one."""
    torch.manual_seed(0)
    search = {"space": {"guessed": list(range(10))}, "prune": "none", "splits": [0]}
    objective = {"select": "oracle_auroc", "objective": list(RULES)}
    spec = spec_with({}, methods={"guess": {"search": {**search, **objective}}}, **BRIEF)
    subject = subject_of(spec)
    found = list(numbers(subject))
    split = spec.split("digits", "cac", 0)
    trial = subject.trials({"guessed": 0})[0]["held_out_classes_auroc"]
    assert trial.inner is not None

    def choice(rule: str) -> int:
        return max(range(10), key=lambda guessed: found[guessed][rule])

    assert choice("oracle_auroc") in split.unknown
    assert choice("held_out_classes_auroc") in trial.inner.hidden
    assert choice("held_out_classes_oscr") in trial.inner.hidden
    assert len({row["known_accuracy"] for row in found}) == 1


@pytest.mark.parametrize("name", RULES)
def test_stages_of_a_search_have_no_way_to_test_images(name: str, monkeypatch: pytest.MonkeyPatch):
    """No score stage, no test set in a config, no `ScoreContext`, no test file read."""
    seen: list[str] = []

    def decoded(root: Path | None, dataset: str, subset: Any, mark: str, size: int) -> ImageSet:
        seen.append(subset)
        return reader(dataset).at(root, subset, size)

    monkeypatch.setattr("osr_core.data.tasks._decoded", decoded)
    search = {"space": {"label_smoothing": [0.0, 0.1]}, "select": name, "splits": [0]}
    subject = subject_of(spec_with({}, methods={"softmax": {"search": search}}, **BRIEF))
    (step,) = subject.trials({"label_smoothing": 0.1})
    stages = list(step[name].score.walk())
    given: list[str] = []

    class Noted(ScoreContext):
        def __init__(self, **fields: Any) -> None:
            given.append(name)
            super().__init__(**fields)

    monkeypatch.setattr("osr_core.execution.ScoreContext", Noted)
    assert len(list(results(stages))) == 2
    has_test = any("test" in stage.config for stage in stages)
    assert (bool(given), has_test, "test" in seen) == (RULES[name].is_oracle,) * 3


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if not rule.is_oracle])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_no_method_s_stages_name_a_test_set_or_train_on_hidden_classes(method: str, name: str):
    """Also those of methods that mine, generate or fit several networks in a row."""
    if method == "guess":
        pytest.skip("the cheat of this file, tried above")
    search = {"space": {"training.lr": [0.1, 0.2]}, "select": name, "splits": [0]}
    spec = spec_with({}, methods={method: {"search": search}})
    split = spec.split("digits", "cac", 0)
    (step,) = subject_of(spec).trials({})
    trial = step[name]
    assert trial.inner is not None
    assert trial.score.kind.name == "validate"
    for stage in trial.score.walk():
        assert "test" not in stage.config
        assert not {*trial.inner.hidden, *split.unknown} & {*stage.config["task"]["known"]}
