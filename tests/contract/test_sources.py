"""What ran is what the digest of a stage's source covers."""

import sys
from types import FrameType
from typing import Any

import pytest
from blobs import TRAINING, VARIANTS, Runs, shortened, trial

from osr_core import execution, fit
from osr_core.execution import Result
from osr_core.methods import METHODS
from osr_core.source import Reach, Sources, start_of
from osr_core.stage import Stage

# What finds a method, a network or a reader by its name, and what starts a stage.
FINDING = {
    "osr_core.execution": ("run_stage", "known_kind"),
    # What looks at the two ends of a stage of any kind makes nothing.
    "osr_core.finite": ("refuse_lost_", "lost_", "num_lost"),
    # Where memory comes from moves no bit (tests/core/test_freed_memory.py).
    "osr_core.freed_memory": ("freed_memory_kept", "_glibc", "_is_set_by_user"),
    "osr_core.methods": ("method_named",),
    "osr_core.methods.plugins": ("Methods",),
    "osr_core.data.own": ("WithOwn",),
}
SOURCES = Sources()


class Watched(Runs):
    """Stages that are run once each, with every function of ours that they call."""

    def __init__(self) -> None:
        super().__init__()
        self.called: dict[str, set[str]] = {}  # by a stage's id, nested ones by what they lie in

    def result(self, stage: Stage) -> Result:
        if stage.id not in self.results:
            self.inputs(stage)  # whose functions are not this stage's
            called = self.called[stage.id] = set()

            def note(frame: FrameType, event: str, argument: Any) -> None:
                module = str(frame.f_globals.get("__name__"))
                if event != "call" or not module.startswith("osr_core"):
                    return
                name = frame.f_code.co_qualname.partition(".<locals>")[0]
                is_generated = frame.f_code.co_filename == "<string>"  # of a dataclass
                if not is_generated and not name.startswith(("<", *FINDING.get(module, ()))):
                    called.add(f"{module}.{name}")

            sys.setprofile(note)
            try:
                super().result(stage)
            finally:
                sys.setprofile(None)
        return self.results[stage.id]


@pytest.fixture(scope="module")
def watched(runs: Runs) -> Watched:
    """For as long as the blobs are a dataset."""
    return Watched()


@pytest.mark.parametrize("name", [*METHODS, *VARIANTS])
@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_every_function_that_a_stage_calls_is_in_its_source(
    name: str, validation: float, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and members are followed without knowing any type; nothing may slip through.

    A fit's first and last looks at predictions make nothing: another score is no reason for another
    fit.
    """
    monkeypatch.setattr(execution, "refuse_lost_logits", lambda *method_and_images: None)
    monkeypatch.setattr(fit, "try_out", lambda *method_and_images: None)
    brief = shortened(TRAINING, epochs=1, validation=validation)
    for stage in trial(name, brief).score.walk():
        reach = Reach(SOURCES, start_of(stage.identity))
        assert reach.digest()
        reached = {".".join(found) for found in reach.found}
        watched.result(stage)
        assert watched.called[stage.id] != set()
        assert watched.called[stage.id] - reached == set(), stage.kind
