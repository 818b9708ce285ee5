"""What ran is what the digest of a stage's source covers."""

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import pytest
from blobs import TRAINING, Runs, context, shortened, trial

from osr_core import execution
from osr_core.execution import run_stage
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


def functions_called(stage: Stage, inputs: Mapping[str, Mapping[str, bytes]]) -> set[str]:
    """Every function of ours that a stage calls, nested ones by what they lie in."""
    called: set[str] = set()

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
        run_stage(stage.kind.name, stage.config, context(inputs))
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_every_function_that_a_stage_calls_is_in_its_source(
    name: str, validation: float, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and members are followed without knowing any type; nothing may slip through.

    A fit's last look at its logits makes nothing: another score is no reason for another fit.
    """
    monkeypatch.setattr(execution, "refuse_lost_logits", lambda *method_and_images: None)
    brief = shortened(TRAINING, epochs=1, validation=validation)
    for stage in trial(name, brief).score.walk():
        reach = Reach(SOURCES, start_of(stage.identity))
        assert reach.digest()
        reached = {".".join(found) for found in reach.found}
        assert functions_called(stage, runs.inputs(stage)) - reached == set(), stage.kind
