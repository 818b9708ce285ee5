"""`osr methods NAME`."""

from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

import osr_core.methods
from osr_core.methods.base import Method, MethodConfig
from sweeps.commands.app import app


class Plain(Method):
    """A method that nobody has to tune."""

    @dataclass(frozen=True, kw_only=True)
    class Config(MethodConfig):
        """Nothing."""


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ([], "plain has no settings; a spec names it as plain: {}\n"),
        (["--json"], "[]\n"),
    ],
    ids=["people", "programs"],
)
def test_a_method_without_settings_says_so(given, printed, monkeypatch):
    """Blank lines look like a fault."""
    monkeypatch.setattr(osr_core.methods, "method_named", {"plain": Plain}.__getitem__)
    assert CliRunner().invoke(app, ["methods", "plain", *given]).stdout == printed
