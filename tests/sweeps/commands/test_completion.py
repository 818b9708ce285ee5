"""Shells complete what is typed behind `osr`."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "found"),
    [("osr sta", {"status"}), ("osr run --ca", {"--canary"}), ("osr datasets f", {"fetch"})],
)
def test_commands_and_options_are_completed(words: str, found: set[str]):
    """As bash asks for it, once `osr --install-completion` has told it how."""
    asked = {"_OSR_COMPLETE": "complete_bash", "COMP_WORDS": words}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv = ['osr']; from sweeps.commands.app import main; main()",
        ],
        env={**os.environ, **asked, "COMP_CWORD": str(len(words.split()) - 1)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(done.stdout.split()) == found, done.stderr
