"""Images, grids, methods and cost of the page, against what was put in."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from handmade import HELD_OUT, plan_of, planned_trial, run_of, runs_table
from PIL import Image
from stored_figures import made_up_images, scores
from test_report import history, write_sweep

from analysis.exports.schema import HISTORY, RUNS, SCORES
from analysis.figures.source import Scores
from analysis.report.cost import Cost, devices, in_a_sentence, seconds_behind, wall_seconds
from analysis.report.examples import SIDE, examples, png, thinned
from analysis.report.grids import heat_maps
from analysis.report.leaderboard import boards
from analysis.report.methods import Description, shown_methods
from analysis.report.missing import MissingCell, missing_cells
from analysis.report.page import report
from analysis.report.plot import ticks
from analysis.report.scored import scored_trials
from analysis.report.surroundings import Surroundings
from analysis.report.training import trainings
from osr_core.errors import DataError
from osr_core.methods import METHODS
from sweeps.commands.report import notes_of

GRID = [
    planned_trial("CAC", alpha=alpha, anchor_weight=weight, seed=0)
    for alpha in (10, 5)
    for weight in (0.1, 0.5, 1.0)
]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_levels_that_it_was_given(channels):
    """Read back by Pillow; larger images lose whole lines and columns."""
    picture = np.random.default_rng(0).integers(0, 256, (150, 90, channels)).astype(np.uint8)
    small = thinned(picture)
    assert small.shape == (50, 30, channels)
    assert max(small.shape) <= SIDE
    read = np.asarray(Image.open(io.BytesIO(png(small)))).reshape(small.shape)
    np.testing.assert_array_equal(read, small)


def test_examples_are_the_surest_and_the_worst(tmp_path):
    """Each image on the right side of the threshold that accepts 95 % of the known ones."""
    write_sweep(tmp_path)
    trial = {"trial_id": "cac-svhn-0-0"}
    asked = []

    def load(ids):
        asked.extend(ids)
        return made_up_images(ids)

    found = examples(tmp_path / "hand_made", trial, "CAC", load)
    table = scores(planned_trial("CAC"), 1.5)
    whole = Scores.from_table(table)
    by_id = dict(zip(whole.image_id, range(80), strict=True))
    places = iter([by_id[name] for name in asked])
    of_kind = {title: [next(places) for _ in images] for title, images in found.kinds}
    for title, of in of_kind.items():
        assert {bool(whole.known[p]) for p in of} == {title.startswith("Known")}
        accepted = {bool(whole.unknown_score[p] <= whole.threshold) for p in of}
        assert accepted == {"accepted" in title}
    worst = whole.unknown_score[of_kind["Unknown and accepted, wrongly"]]
    assert worst[0] == whole.unknown_score[~whole.known].min()


def test_images_that_are_not_at_hand_are_missed_in_words(tmp_path):
    """A page is made all the same."""
    write_sweep(tmp_path)

    def load(ids):
        raise DataError("toys are not in /data: run osr datasets fetch toys")

    page = report(tmp_path, around=Surroundings(images=load))
    assert "No images are at hand: toys are not in /data: run osr datasets fetch toys" in page
    assert "No images are at hand: nobody said where" in report(tmp_path)


def test_heat_map_has_a_cell_for_each_point_of_a_grid():
    """Numbers in order, whatever the spec's; the point that pictures show is marked."""
    runs = {t.trial_id: run_of(t, auroc=0.5 + n / 20) for n, t in enumerate(GRID[:5])}
    plan = plan_of(GRID)
    (map_,) = heat_maps(boards(plan, runs)[0], GRID)
    assert (map_.down, map_.across, map_.columns) == ("anchor_weight", "alpha", ("5", "10"))
    shown = {
        (line, column): cell
        for line, cells in map_.lines
        for column, cell in zip(map_.columns, cells, strict=True)
    }
    means = {point: cell.mean for point, cell in shown.items()}
    assert means["0.1", "10"] == pytest.approx(50)
    assert means["0.5", "5"] == pytest.approx(70)
    assert means["1", "5"] is None
    assert [point for point, cell in shown.items() if cell.first] == [("0.1", "10")]
    assert (shown["0.1", "10"].shade, shown["0.5", "5"].shade) == (0, 10)


def test_values_that_a_search_found_are_shown_with_few_digits():
    """In the heat map, and among a method's settings; the export has all of them."""
    searched = {"alpha": 5.385672718666793, "anchor_weight": 0.7733892093979}
    trials = [planned_trial("CAC", alpha=10, anchor_weight=0.1), planned_trial("CAC", **searched)]
    plan, runs = plan_of(trials), {t.trial_id: run_of(t) for t in trials}
    (map_,) = heat_maps(boards(plan, runs)[0], trials)
    assert (map_.columns, [line for line, _ in map_.lines]) == (("0.1", "0.7734"), ["5.386", "10"])
    ((use,),) = [method.uses for method in shown_methods([plan], notes_of)]
    assert [each.values for each in use.settings] == [("10", "5.386"), ("0.1", "0.7734")]


def test_further_settings_of_a_grid_are_held_and_named():
    """Otherwise a cell would stand for several points."""
    trials = [
        planned_trial("CAC", a=a, b=b, c=c) for a in (1, 2) for b in (1, 2) for c in (1, 2, 3)
    ]
    runs = {t.trial_id: run_of(t) for t in trials}
    (map_,) = heat_maps(boards(plan_of(trials), runs)[0], trials)
    assert (map_.down, map_.across, map_.fixed) == ("c", "a", "b=1")
    assert len(map_.lines) == 3


def test_scores_are_read_a_trial_at_a_time(tmp_path):
    """Those that are wanted, in whole, wherever a batch of the file ends."""
    write_sweep(tmp_path)
    folder = tmp_path / "hand_made"
    table = pq.read_table(folder / SCORES)
    pq.write_table(table, folder / SCORES, row_group_size=30)
    wanted = ("cac-svhn-1-0", "mls-svhn-1-0")
    found = dict(scored_trials(folder, wanted))
    assert tuple(found) == wanted
    for trial_id, of in found.items():
        rows = table.filter(np.asarray(table["trial_id"].to_pylist()) == trial_id)
        np.testing.assert_array_equal(of.unknown_score, Scores.from_table(rows).unknown_score)


def test_training_is_the_mean_over_fits_by_epoch():
    """Learning rates and clocks are no losses."""
    rows = [(fit, "cac", epoch, "train/anchor", value) for fit, values in (("f1", (1.0, 0.5)),
            ("f2", (3.0, 0.5))) for epoch, value in enumerate(values, start=1)]  # fmt: skip
    rows += [("f1", "cac", 1, "lr", 0.1), ("f1", "cac", 1, "wall_s", 9.0)]
    (found,) = trainings(history(rows)).values()
    (term,) = found.terms
    assert (term.name, term.first, term.last, found.num_epochs) == ("anchor", 2.0, 0.5, 2)


def test_long_training_is_drawn_thinned_out():
    """Six hundred epochs in a hundred points, the first and the last among them."""
    rows = [("f1", "cac", epoch, "train/anchor", 1 / epoch) for epoch in range(1, 601)]
    (found,) = trainings(history(rows)).values()
    path = found.picture.partition('class="curve" d="M')[2].partition('"')[0].split()
    assert 100 <= len(path) <= 102
    assert (path[0][: path[0].index(",")], path[-1][: path[-1].index(",")]) == ("40", "310")
    assert found.terms[0].last == 1 / 600


def test_time_behind_a_row_counts_a_shared_fit_once():
    """Of a row's own trials, and again for another row that shares it."""
    walls = wall_seconds(history([("f1", "s", e, "wall_s", 2.0) for e in (1, 2)]))
    stages = {"a": {"a", "f1"}, "b": {"b", "f1"}}
    assert walls == {"f1": 4.0}
    assert seconds_behind(["a", "b"], stages, walls) == 4.0
    assert seconds_behind(["unheard of"], stages, walls) is None


def test_cost_says_on_what():
    """From the finished trials' own words."""
    fit = '{"fit":{"device":["cuda"],"hardware":["NVIDIA H100"]}}'
    assert devices([{"made_on": fit}, {"made_on": None}]) == ("GPU", "NVIDIA H100")
    assert in_a_sentence([], []) == "No epoch of training is on record here."
    softmax, cac = Cost("softmax", "digits", 2, 20, 60.0), Cost("cac", "digits", 1, 10, 30.0)
    assert in_a_sentence([cac], []) == "Training took 30 s in 1 fit."
    assert in_a_sentence([softmax, cac], []) == (
        "Training took 1 min 30 s in 3 fits. The longest part, 1 min 0 s, went to 2 fits of "
        "softmax on digits, counted once however many methods use them."
    )


def test_missing_cells_name_their_trials():
    """By row and dataset."""
    trials = [planned_trial("CAC", split=split) for split in (0, 1, 2)]
    labels = {trial.trial_id: "CAC" for trial in trials}
    assert missing_cells(trials, [trials[0].trial_id], labels) == (
        MissingCell("CAC", "svhn", ("split 1 seed 0", "split 2 seed 0"), 3),
    )
    assert missing_cells(trials, labels, labels) == ()


def test_method_has_what_its_file_says(tmp_path):
    """Paper, equations and deviations, from the one place where they are written."""
    notes = notes_of("cac")
    assert notes.source == "Miller et al., WACV 2021, section 3"
    assert "softmin_j" in notes.own.equations
    first, second, *_ = notes.own.deviations
    assert first == "Deviations, and why:"
    assert second == (
        '- L_T is computed as the cross-entropy of -d, whose "1 +" is the term j = y: the same '
        "number, and it cannot overflow."
    )
    assert notes.meanings["alpha"]
    assert notes_of("a plugin that is not installed") is None
    assert Description("no such part").deviations == ()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_says_where_it_differs(name):
    """Also where nobody can tell, for want of code: silence could mean that nobody looked."""
    notes = notes_of(name)
    assert notes.own.deviations, "no paragraph of the file's description begins with 'Deviations'"
    assert "Source" in notes.own.equations


def test_a_method_shows_what_its_parts_say():
    """Of each file that is named on the way, once: OSRCI's GAN is G-OpenMax's, too."""
    parts = notes_of("g_openmax").parts
    gan = parts["methods/gan/gan.py"]
    assert {"methods/osrci.py", "methods/openmax.py", "methods/decoder.py"} < set(parts)
    assert "reconstruction  mean |x - G(E(x))|" in gan.equations
    assert any("the code drops it" in text for text in gan.deviations)
    assert list(notes_of("cgdl").parts) == ["methods/cgdl/ladder.py", "methods/cgdl/flat.py"]
    assert any("Xavier" in text for text in notes_of("proser").parts["backbones/wrn.py"].deviations)


def test_settings_that_the_spec_changed_are_marked():
    """Against the method's defaults, and what chose them."""
    trials = [
        planned_trial("CAC", alpha=alpha, tuplet=True, selection=HELD_OUT) for alpha in (5, 7)
    ]
    plan = plan_of(trials)
    plan.defaults["cac"] = {"alpha": 10, "tuplet": True}
    ((use,),) = [method.uses for method in shown_methods([plan], notes_of)]
    alpha, tuplet = use.settings
    assert (alpha.values, alpha.default, alpha.changed) == (("5", "7"), "10", True)
    assert (tuplet.values, tuplet.default, tuplet.changed) == (("true",), "true", False)
    assert use.selection == (HELD_OUT,)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (1, 12), (-3.7, 96.2), (0, 11.9), (0.001, 0.002)]
)
def test_ticks_are_few_and_round(low, high):
    """They lie inside, and say so with few digits."""
    found = ticks(low, high)
    assert 3 <= len(found) <= 6
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    assert all(len(f"{value:g}") <= 7 for value in found)


def test_unfinished_sweep_says_what_fills_it(tmp_path):
    """The packaged spec by name."""
    (tmp_path / "digits").mkdir()
    trials = [planned_trial("CAC", split=split) for split in (0, 1)]
    runs = runs_table(plan_of(trials, sweep="digits"), [run_of(trials[0])])
    pq.write_table(runs, tmp_path / "digits" / RUNS)
    pq.write_table(history([]), tmp_path / "digits" / HISTORY)
    page = report(tmp_path, around=Surroundings(packaged=("digits",)))
    assert "To fill these cells: <code>osr run digits</code>; it starts only" in page
    assert '<td>svhn</td><td data-value="1">1 of 2</td>' in page
