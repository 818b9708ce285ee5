"""Tables of a small sweep made by hand, against stored text and against their rules."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import GOLDEN, planned_trial, run_of, small_sweep, text_of, write_export

from analysis.tables.sheet import LATEX_SPECIAL
from analysis.tables.sweep_table import table
from osr_core.errors import ConfigError, DataError


@pytest.mark.parametrize("name", GOLDEN)
def test_small_sweep_prints_the_stored_table(name, tmp_path):
    """Byte for byte; `python tests/analysis/handmade.py` remakes what is stored."""
    made = text_of(table(small_sweep(tmp_path)), name)
    assert made == GOLDEN[name].read_text(encoding="utf-8")


def ranks(folder, aurocs, metric="auroc"):
    """Ranks of rows A, B, ... with one finished trial each, or none where the value is None."""
    trials = [planned_trial(title) for title, _ in zip("ABCDE", aurocs, strict=False)]
    runs = [
        run_of(trial, **{metric: value})
        for trial, value in zip(trials, aurocs, strict=True)
        if value is not None
    ]
    (block,) = table(write_export(folder, trials, runs), metrics=[metric]).blocks
    return [row.entries[0].rank for row in block.rows]


@pytest.mark.parametrize(
    ("aurocs", "expected"),
    [
        ([0.7, 0.9, 0.8], [0, 1, 2]),
        ([0.9, 0.9, 0.8, 0.7], [1, 1, 2, 0]),  # a tie shares its rank
        ([0.9, 0.8, 0.8, 0.7], [1, 2, 2, 0]),
        ([0.90001, 0.90002, 0.8], [1, 1, 2]),  # a reader sees 90.0 twice
        ([0.9, 0.9], [0, 0]),  # nothing stands out
        ([0.9], [0]),
        ([0.9, None], [0, 0]),
        ([0.7, None, 0.8], [2, 0, 1]),
    ],
)
def test_best_and_second_best_are_what_a_reader_sees(aurocs, expected, tmp_path):
    """Ranks follow the printed digits, and need something to be compared with."""
    assert ranks(tmp_path, aurocs) == expected


def test_lowest_fpr95_is_best(tmp_path):
    """The share of accepted unknowns is the one metric of which less is better."""
    assert ranks(tmp_path, [0.3, 0.1, 0.2], "fpr95_known_positive") == [0, 1, 2]


def test_unfinished_row_is_shown_but_not_ranked(tmp_path):
    """The splits that are missing may be the hard ones."""
    trials = [planned_trial(title, split=split) for title in "AB" for split in (0, 1)]
    finished = zip(trials[:3], (0.7, 0.7, 0.9), strict=True)
    runs = [run_of(trial, auroc=value) for trial, value in finished]
    made = table(write_export(tmp_path, trials, runs), metrics=["auroc"])
    text = text_of(made)
    assert [row.entries[0].rank for row in made.blocks[0].rows] == [0, 0]
    assert "| 90.0 (1/2) |" in text
    assert "- B: missing svhn/1 seed 0 (b-svhn-1)" in text


def test_header_states_what_the_numbers_rest_on(tmp_path):
    """Two code versions in one table are both named."""
    trials = [planned_trial("A", split=split, seed=seed) for split in (0, 1) for seed in (0, 1, 2)]
    runs = [run_of(trial) | {"commit": f"c{trial.split}"} for trial in trials]
    text = text_of(table(write_export(tmp_path, trials, runs)))
    expected = "protocol cac, recipe common, selection none, 2 splits x 3 seeds, commit c0, c1"
    assert text.splitlines()[2] == expected


def test_header_states_what_the_spec_changes_of_its_recipe(tmp_path):
    """A network of a quarter of the width is not the recipe's, though no row says so."""
    changes = {"backbone.width": 0.25, "training.optimizer": "adam"}
    folder = write_export(tmp_path, [planned_trial("A")], [], **changes)
    expected = "protocol cac, recipe common, changed (backbone.width=0.25, training.optimizer=adam)"
    assert text_of(table(folder)).splitlines()[2].startswith(expected)


def test_markdown_is_aligned_as_plain_text(tmp_path):
    """All lines of a block are equally long, and points are below each other."""
    aurocs = {"A": 1.0, "B": 0.085, "A much longer name": 0.5}
    trials = [planned_trial(title) for title in aurocs]
    runs = [run_of(trial, auroc=aurocs[trial.title]) for trial in trials]
    text = text_of(table(write_export(tmp_path, trials, runs), metrics=["auroc"]))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert len({line.index(".") for line in lines[2:]}) == 1


def test_latex_escapes_every_special_character(tmp_path):
    """A hyperparameter's name has underscores; a label may have anything."""
    awkward = "".join(chr(character) for character in LATEX_SPECIAL)
    trials = [planned_trial(f"A{awkward}", anchor_weight=weight) for weight in (1, 2)]
    text = text_of(
        table(write_export(tmp_path, trials, [run_of(trial) for trial in trials])), "latex"
    )
    row = next(line for line in text.splitlines() if "weight=1" in line)
    assert row.split(" & ")[0].strip() == (
        r"A\textbackslash{}\textasciitilde{}\textasciicircum{}$\pm$$^\dagger$$\checkmark$"
        r"\&\%\$\#\_\{\} (anchor\_weight=1)"
    )


def test_pipe_in_a_label_does_not_split_a_markdown_cell(tmp_path):
    """The one character that ends a cell."""
    trials = [planned_trial("A", mode=mode) for mode in ("x|y", "z")]
    text = text_of(table(write_export(tmp_path, trials, [])))
    assert r"| A (mode=x\|y) |" in text


def test_machine_formats_hold_the_same_numbers(tmp_path):
    """JSON has the model with every digit, CSV four decimals of it."""
    made = table(small_sweep(tmp_path), ["svhn"])
    model = json.loads(text_of(made, "json"))
    lines = list(csv.DictReader(text_of(made, "csv").splitlines()))
    entry = model["blocks"][0]["rows"][2]["entries"][3]
    (line,) = [
        line
        for line in lines
        if (line["method"], line["metric"], line["source"]) == ("CAC (alpha=10)", "auroc", "ours")
    ]
    assert entry["mean_percent"] == pytest.approx(95.5)
    assert line["mean_percent"] == "95.5000"
    assert model["blocks"][0]["rows"][5]["missing"][0]["trial_id"] == "proser-svhn-0-0"


def test_datasets_are_shown_as_asked_for(tmp_path):
    """In the order given, each once; by default all."""
    folder = small_sweep(tmp_path)
    blocks = table(folder, ["digits", "svhn", "digits"]).blocks
    assert [block.dataset for block in blocks] == ["digits", "svhn"]
    assert [block.dataset for block in table(folder).blocks] == ["svhn", "digits"]


def test_wrong_names_are_refused_with_the_right_ones(tmp_path):
    """All of them at once."""
    with pytest.raises(ConfigError, match="Did you mean 'svhn'") as caught:
        table(small_sweep(tmp_path), ["svnh"], ["auroc", "f1"])
    assert len(caught.value.problems) == 2


def test_folder_without_export_says_how_to_make_one(tmp_path):
    """Also a file that lost its plan on the way through another program."""
    with pytest.raises(DataError, match="since its last export"):
        table(tmp_path)
    pq.write_table(pa.table({"trial_id": ["a"]}), tmp_path / "runs.parquet")
    with pytest.raises(DataError, match="Export the sweep again"):
        table(tmp_path)


def test_export_that_does_not_say_what_its_spec_changes_is_refused(tmp_path):
    """An earlier version wrote none of it, and a table of a small network would pass for the
    recipe's; what a later one adds to the plan is left.
    """
    path = write_export(tmp_path, [planned_trial("A")], []) / "runs.parquet"
    runs = pq.read_table(path)
    plan = json.loads(runs.schema.metadata[b"plan"])
    later = {**plan, "later": 1, "trials": [{**trial, "later": 1} for trial in plan["trials"]]}
    pq.write_table(runs.replace_schema_metadata({"plan": json.dumps(later)}), path)
    assert table(tmp_path).recipe == "common"
    del plan["changes"]
    pq.write_table(runs.replace_schema_metadata({"plan": json.dumps(plan)}), path)
    with pytest.raises(DataError, match=r"another version .*'changes'.* Export the sweep again"):
        table(tmp_path)
