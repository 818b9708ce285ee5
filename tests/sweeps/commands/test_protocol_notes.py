"""`osr splits` keeps nothing back of what is known about published lists."""

import json

from typer.testing import CliRunner

from osr_core.data.splits import protocols
from sweeps.commands.app import app


def test_what_is_known_of_a_protocol_is_told_to_people_and_to_programs():
    """Its source, and the peculiarities of its lists."""
    cac = protocols()["cac"]
    told = [cac.source, *cac.notes]
    listed = json.loads(CliRunner().invoke(app, ["splits", "mnist", "--json"]).stdout)
    assert all(row["notes"] == told for row in listed)
    shown = " ".join(CliRunner().invoke(app, ["splits", "mnist"]).stdout.split())
    assert all(" ".join(note.split()) in shown for note in told)
