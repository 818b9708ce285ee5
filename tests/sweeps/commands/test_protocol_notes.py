"""`osr splits` tells what is known about the published lists that it shows."""

import json

from typer.testing import CliRunner

from osr_core.data.splits import _published, protocols
from sweeps.commands.app import app


def shown(*given: str) -> str:
    """What `osr splits` prints, on one line."""
    return " ".join(CliRunner().invoke(app, ["splits", *given]).stdout.split())


def test_what_is_known_of_a_protocol_is_told_to_people_and_to_programs():
    """Its source, and the peculiarities of its lists."""
    cac = protocols()["cac"]
    assert all(" ".join(note.text.split()) in shown() for note in cac.notes)
    listed = json.loads(CliRunner().invoke(app, ["splits", "cifar+50", "--json"]).stdout)
    told = [cac.source, *cac.notes_on("cifar+50")]
    assert all(row["notes"] == told for row in listed)


def test_of_one_dataset_only_what_concerns_it_is_told():
    """Digits has MNIST's lists, and so what is known of those."""
    images, animals = "positions in the sorted wnids", "all 50 animals of CIFAR-100"
    assert images in shown("tinyimagenet")
    assert animals in shown("cifar+50")
    assert not any(words in shown("digits") for words in (images, animals))
    shared = "share the unknown sets"
    assert all(shared in shown(name, "--protocol", "osrci") for name in ("digits", "mnist"))
    assert shared not in shown("cifar+50", "--protocol", "osrci")


def test_every_note_is_on_lists_that_there_are():
    """A name with a slip would hide it."""
    for name, protocol in _published().items():
        family = name.partition("@")[0]
        kin = [about for other, about in _published().items() if other.startswith(family)]
        lists = {key for about in kin for key in about["splits"]}
        named = {key.lower() for note in protocol["notes"] for key in note.get("on", ())}
        assert named <= lists
