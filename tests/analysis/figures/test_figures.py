"""Figures against stored pictures, and against what they claim."""

import json
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import planned_trial, run_of, write_export
from PIL import Image
from stored_figures import CAC, EXPORTS, STORED, drawn, scores, write

from analysis.exports.schema import MINED, SCORES
from analysis.figures.cac import components
from analysis.figures.draw import FIGURES, draw
from analysis.figures.pmal import one_against_ten, robustness, tsne
from analysis.figures.source import Scores, Source
from analysis.figures.style import COLOURS, KNOWN, UNKNOWN
from analysis.figures.trial import confusion, confusion_shares, histogram, pictures, roc_points
from osr_core.errors import ConfigError, DataError
from osr_core.metrics import auroc

TOLERANCE = (
    6.0  # root mean square difference of grey levels, 0 to 255; another figure has 20 or more
)


def pixels(png):
    """(H, W, 3) levels of a picture."""
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"), float)


@pytest.mark.parametrize("name", FIGURES)
def test_figure_looks_like_the_stored_picture(name):
    """Drawn from a stored export; `python tests/analysis/stored_figures.py` remakes both."""
    made, stored = pixels(drawn(name)), pixels((STORED / f"{name}.png").read_bytes())
    assert made.shape == stored.shape
    assert np.sqrt(((made - stored) ** 2).mean()) < TOLERANCE


def test_tolerance_tells_a_moved_curve_from_the_stored_one(tmp_path, monkeypatch):
    """Otherwise the comparison above would pass whatever is drawn."""
    trial = planned_trial("CAC", **CAC)
    monkeypatch.setattr("stored_figures.EXPORTS", tmp_path)
    write("cac-table2", [trial], [run_of(trial, auroc=0.86)], [0.1])
    made = pixels(draw("roc", tmp_path, sweep="cac-table2"))
    stored = pixels((STORED / "roc.png").read_bytes())
    assert np.sqrt(((made - stored) ** 2).mean()) > TOLERANCE


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_equal_data_gives_equal_bytes(format):
    """No time, no random id, no version: a figure can be kept under version control."""
    first, second = drawn("histogram", format), drawn("histogram", format)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[format])


def test_area_under_the_drawn_roc_is_the_auroc():
    """Also where scores are tied, which a step in two directions would get wrong."""
    random = np.random.default_rng(3)
    label = random.integers(-1, 2, 200)
    score = np.round(random.normal(size=200) - label, 1)
    rejected, recognised = roc_points(score, label >= 0)
    area = np.trapezoid(recognised, rejected)
    assert (rejected[0], recognised[0], rejected[-1], recognised[-1]) == (0, 0, 1, 1)
    assert area == pytest.approx(auroc(score, label))


def test_threshold_is_that_of_fpr95():
    """20 knowns: the 19th score accepts 95 %."""
    made = Source.open(EXPORTS / "cac-table2")
    found = made.scores(made.one())
    known = np.sort(found.unknown_score[found.known])
    assert len(known) == 40
    assert found.threshold == known[37]


def test_confusion_counts_each_class_by_what_it_was_taken_for():
    """Against a loop over the images; a share of the diagonal is the class's recall."""
    made = Source.open(EXPORTS / "cac-table2")
    found = made.scores(made.one())
    counts = [[0, 0, 0] for _ in range(3)]
    for label, predicted, score in zip(
        found.label, found.predicted, found.unknown_score, strict=True
    ):
        truth = label if label >= 0 else 2
        counts[truth][predicted if score <= found.threshold else 2] += 1
    expected = [[100 * count / sum(row) for count in row] for row in counts]
    assert confusion_shares(found, 3) == pytest.approx(np.array(expected))
    assert expected[2][2] > 50


def test_confusion_of_many_classes_is_drawn_without_names():
    """Two hundred names would hide each other; the picture stays as small as that of twenty."""
    label = np.repeat(np.arange(-1, 200), 3)
    score = np.where(label < 0, 1.0, 0.0)
    many = Scores([""] * 603, label, np.maximum(label, 0), score, [None] * 603)
    run = run_of(planned_trial("CAC", **CAC))
    (axes,) = confusion(run, many, "").axes
    assert len(axes.texts) == 0
    assert axes.figure.get_size_inches().max() < 12


@pytest.mark.filterwarnings("error")
def test_histogram_of_equal_scores_shows_both_groups():
    """A network that has collapsed gives every image one score: each group has one bar, area 1."""
    label = np.repeat(np.arange(-1, 2), 4)
    equal = Scores([""] * 12, label, np.maximum(label, 0), np.full(12, 0.5), [None] * 12)
    (axes,) = histogram({**run_of(planned_trial("CAC", **CAC)), "title": "CAC"}, equal, "").axes
    areas = [
        (bars.get_data().values * np.diff(bars.get_data().edges)).sum() for bars in axes.patches
    ]
    assert areas == pytest.approx([1, 1, 1, 1])


def test_pictures_of_a_run_are_the_figures_of_its_trial():
    """What MLflow shows is what `osr figure` draws from the export."""
    scored = (EXPORTS / "cac-table2" / "scores.parquet").read_bytes()
    row = Source.open(EXPORTS / "cac-table2").one()
    settings = json.loads(row["hyperparameters"])
    changes = {"backbone": {}, "training": {}}
    run = {**row, "label": "CAC", "hyperparameters": settings, "changes": changes}
    names = ("roc", "histogram", "confusion")
    assert pictures(run, scored) == {f"{name}.png": drawn(name) for name in names}
    own = {**run, "hyperparameters": {**settings, "backbone.width": 0.25}}
    of_all = {**run, "changes": {"backbone": {"width": 0.25}, "training": {}}}
    assert pictures(own, scored) == pictures(of_all, scored)


def test_colours_differ_in_grey():
    """Known and unknown are told apart in print; all colours in use differ by lightness."""

    def lightness(colour):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert abs(lightness(KNOWN) - lightness(UNKNOWN)) > 50
    assert len({round(lightness(colour) / 4) for colour in COLOURS}) == len(COLOURS)


def test_layout_in_the_plane_is_repeatable_and_keeps_clusters():
    """Two far groups stay two groups, in the same places each time."""
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(size=(20, 5)), random.normal(size=(20, 5)) + 20])
    places = tsne(points)
    assert np.array_equal(places, tsne(points))
    within = np.linalg.norm(places[:20] - places[:20].mean(0), axis=1).max()
    between = np.linalg.norm(places[:20].mean(0) - places[20:].mean(0))
    assert between > within


def foot(figure):
    """What stands below a figure, on one line."""
    return " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize("name", ["roc", "confusion"])
def test_foot_of_a_figure_about_one_trial_says_which_of_a_grid(name, tmp_path, monkeypatch):
    """Without --trial the first is shown, and a reader must see that it is not the only one."""
    trials = [planned_trial("CAC", **CAC | {"alpha": alpha}) for alpha in (5.0, 10.0)]
    monkeypatch.setattr("stored_figures.EXPORTS", tmp_path)
    source = Source.open(write("a", trials, [run_of(trial) for trial in trials], (1.5, 1.5)))
    made = FIGURES[name].make(source)
    assert foot(made).startswith("CAC (alpha=5) svhn/0 seed 0, trial ")


@pytest.mark.parametrize("name", ["roc", "cac3"])
def test_foot_says_what_the_spec_changes_of_its_recipe(name, tmp_path):
    """Of a figure about one trial, and about all; one without changes has no word of it."""
    trial = planned_trial("CAC", **CAC)
    pq.write_table(scores(trial, 1.5), tmp_path / SCORES)
    write_export(tmp_path, [trial], [run_of(trial)], **{"backbone.width": 0.25})
    made = FIGURES[name].make(Source.open(tmp_path))
    assert ", recipe common, changed (backbone.width=0.25), " in foot(made)
    write_export(tmp_path, [trial], [run_of(trial)])
    assert "backbone" not in foot(FIGURES[name].make(Source.open(tmp_path)))


def test_foot_says_what_its_method_alone_changes_of_the_recipe(tmp_path):
    """A picture is shown without the table whose header says it; the other methods' go unsaid."""
    own = {"backbone.width": 0.25, "training.epochs": 2}
    trials = [planned_trial("CAC", **CAC, **own), planned_trial("MLS", **{"training.lr": 1.0})]
    pq.write_table(scores(trials[0], 1.5), tmp_path / SCORES)
    write_export(tmp_path, trials, [run_of(trials[0])], **{"training.epochs": 5})
    changed = ", recipe common, changed (backbone.width=0.25, training.epochs=2), "
    made = FIGURES["roc"].make(Source.open(tmp_path))
    assert changed in foot(made)


def test_one_prototype_is_compared_with_ten_of_the_same_settings(tmp_path, monkeypatch):
    """PMAL's Table 5 varies epsilon beside T; its other rows have ten prototypes, too."""
    settings = [(10, 0.5), (1, 0.7), (10, 0.7)]
    trials = [planned_trial("PMAL", prototypes=t, epsilon=epsilon) for t, epsilon in settings]
    runs = [run_of(trial, auroc=0.7 + n / 10) for n, trial in enumerate(trials)]
    monkeypatch.setattr("stored_figures.EXPORTS", tmp_path)
    made = one_against_ten(Source.open(write("a", trials, runs, (1.0, 1.5, 2.0))))
    titles = [axes.get_title() for axes in made.axes]
    assert titles == ["T = 1: AUROC 80.0 %", "T = 10: AUROC 90.0 %"]
    assert foot(made).startswith("densities of PMAL (epsilon=0.7, prototypes=10) svhn/0 and of T")


def test_figure_of_one_mining_of_several_says_so(tmp_path, monkeypatch):
    """A grid over epsilon mines several times, and the first is drawn."""
    mined = pq.read_table(EXPORTS / "pmal-table1" / MINED)
    again = mined.set_column(0, "stage_id", pa.array(["other"] * len(mined)))
    trial = planned_trial("PMAL", prototypes=2)
    monkeypatch.setattr("stored_figures.EXPORTS", tmp_path)
    folder = write("a", [trial], [run_of(trial)])
    pq.write_table(pa.concat_tables([mined, again], promote_options="permissive"), folder / MINED)
    assert "200 training images of toys/0, mining mine, the first of 2;" in foot(
        robustness(Source.open(folder))
    )


def test_bar_of_one_trial_has_no_whisker(tmp_path, monkeypatch):
    """One of no length would say that the mean is certain."""
    trials = [planned_trial("CAC", split=split, **CAC) for split in (0, 1)]
    monkeypatch.setattr("stored_figures.EXPORTS", tmp_path)

    def whiskers(trials):
        runs = [run_of(trial, auroc=0.5 + trial.split / 10) for trial in trials]
        (axes,) = components(Source.open(write("a", trials, runs))).axes
        lines = [line for drawn in axes.collections for line in drawn.get_segments()]
        return sum(len(line) == 2 for line in lines)

    assert (whiskers(trials), whiskers(trials[:1])) == (2, 0)


def test_missing_things_are_named():
    """The sweep's command, the sweep itself, the images, the trial, the artifact."""
    with pytest.raises(DataError, match="osr run cac_fig9 && osr export cac-fig9"):
        draw("cac2", EXPORTS, sweep="cac-fig9")
    with pytest.raises(ConfigError, match="name one, as in `osr figure roc digits`"):
        draw("roc", EXPORTS)
    with pytest.raises(ConfigError, match="--data-root"):
        draw("cac5", EXPORTS)
    with pytest.raises(ConfigError, match="trial 'zzz' fits 0 of the 1 finished trials"):
        draw("roc", EXPORTS, sweep="cac-table2", trial="zzz")
    with pytest.raises(DataError, match=r"there is no mined\.parquet"):
        draw("pmal4a", EXPORTS, sweep="cac-table2")
    with pytest.raises(DataError, match="no finished trial of PMAL"):
        draw("pmal6", EXPORTS, sweep="cac-table2")
    with pytest.raises(ConfigError, match="Did you mean 'cac4'"):
        draw("cac44", EXPORTS)
    with pytest.raises(ConfigError, match="Did you mean 'png'"):
        draw("cac3", EXPORTS, format="pngs")


def test_trial_is_found_by_the_beginning_of_its_id():
    """As `osr table` and the report print it."""
    trial_id = Source.open(EXPORTS / "cac-table2").one()["trial_id"]
    asked = draw("roc", EXPORTS, sweep="cac-table2", trial=trial_id[:6])
    assert asked == drawn("roc")


def test_a_class_that_nothing_was_taken_for_has_its_name():
    """A weak classifier may never name the last class."""
    label = np.array([0, 1, 2, -1])
    names = ["cat", "dog", "frog", "car"]
    scores = Scores(["a"] * 4, label, np.array([0, 1, 1, 0]), np.zeros(4), names)
    assert scores.known_names() == ["cat", "dog", "frog"]


def test_scores_without_class_names_still_draw(tmp_path, monkeypatch):
    """Exports of older runs: unknown classes are one row, known ones are numbered."""
    trial = planned_trial("CAC", **CAC)
    monkeypatch.setattr("stored_figures.EXPORTS", tmp_path)
    unnamed = scores(trial, 1.5).drop(["class_name"])
    monkeypatch.setattr("stored_figures.scores", lambda *_: unnamed)
    write("cac-table2", [trial], [run_of(trial)], [1.5])
    source = Source.open(tmp_path / "cac-table2")
    assert source.scores(source.one()).known_names() == ["class 0", "class 1"]
    assert draw("cac4", tmp_path).startswith(b"\x89PNG")
