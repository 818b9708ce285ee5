"""The grid of images that were made: what is shown, of which stage, and where."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_figures import EXPORTS

from analysis.exports.schema import (
    GENERATED,
    HISTORY,
    RECONSTRUCTED,
    history_schema,
    reconstructed_schema,
)
from analysis.figures.draw import draw
from analysis.figures.generated import decoded, grid, image_of, picture
from analysis.report.page import report
from osr_core.errors import ConfigError, DataError
from sweeps.commands.results import draw_pictures

ROWS = pq.read_table(EXPORTS / "generated" / GENERATED)


def artifact() -> bytes:
    """What a stage leaves: the columns of an export but for those that say whose a row is."""
    made = ROWS.filter([stage == "made" for stage in ROWS["stage_id"].to_pylist()])
    sink = pa.BufferOutputStream()
    pq.write_table(made.drop_columns(["stage_id", "dataset", "split"]), sink)
    return bytes(sink.getvalue())


def test_levels_become_an_image_row_by_row_and_colours_last() -> None:
    """As matplotlib wants them, where a stage has channel after channel."""
    grey = image_of({"channels": 1, "side": 2, "pixels": [1, 2, 3, 4]})
    assert grey.tolist() == [[1, 2], [3, 4]]
    colour = image_of({"channels": 3, "side": 1, "pixels": [5, 6, 7]})
    assert colour.tolist() == [[[5, 6, 7]]]
    assert colour.dtype == np.uint8


def test_a_sweep_must_be_named_and_must_have_made_images() -> None:
    """Any sweep may have them."""
    with pytest.raises(ConfigError, match="is of any sweep: name one"):
        draw("generated", EXPORTS)
    with pytest.raises(DataError, match=r"generated\.parquet"):
        draw("generated", EXPORTS, sweep="cac-table2")


def test_the_run_in_mlflow_shows_the_grid() -> None:
    """By the same function, which a trial's scores go to by having a trial."""
    about = {"label": "gan.generate osrci svhn/0 seed 0", "sweep": "s", "commit": "c"}
    ((name, png),) = draw_pictures(about, artifact()).items()
    assert name == "generated.png"
    assert png == picture("gan.generate osrci svhn/0 seed 0, sweep s, commit c", artifact())[name]


def reconstructed(stage: str = "decoded") -> pa.Table:
    """Two training images under two classes."""
    of = {"stage_id": stage, "dataset": "svhn", "split": 0, "channels": 1, "side": 2}
    rows = [
        {**of, "column": c, "label": c, "condition": k, "error": None if k is None else 0.1 + c + k}
        for k in (None, 0, 1)
        for c in (0, 1)
    ]
    rows = [{**row, "pixels": [10 * i] * 4} for i, row in enumerate(rows)]
    return pa.Table.from_pylist(rows, schema=reconstructed_schema())


def test_reconstructions_stand_below_their_image_class_by_class() -> None:
    """With their errors; that of the image's own class is in bold."""
    cells = [decoded(row) for row in reconstructed().to_pylist()]
    assert [cell.line for cell in cells[::2]] == ["training", "as class 0", "as class 1"]
    assert [cell.number for cell in cells] == ["", "", "0.10", "1.10", "1.10", "2.10"]
    assert [cell.bold for cell in cells] == [False, False, True, False, False, True]
    figure = grid(cells, "foot")
    titles = [each.get_title() for each in figure.axes]
    assert titles == [cell.number for cell in cells]
    weights = [each.title.get_fontweight() == "bold" for each in figure.axes]
    assert weights == [cell.bold for cell in cells]


def test_both_kinds_of_images_are_in_one_figure_if_a_sweep_has_both(tmp_path: Path) -> None:
    """Or whichever it has, for the split that is shown; the foot says what stands above each."""
    for name in ("both", "alone", "apart"):
        folder = shutil.copytree(EXPORTS / "generated", tmp_path / name)
        pq.write_table(reconstructed(), folder / RECONSTRUCTED)
    (tmp_path / "alone" / GENERATED).unlink()
    elsewhere = reconstructed().set_column(2, "split", pa.array([7] * 6, pa.int32()))
    pq.write_table(elsewhere, tmp_path / "apart" / RECONSTRUCTED)
    of_gan, of_decoder = "images made for", "decoded"  # in lines of the foot that may be broken
    for name, texts in (("both", (True, True)), ("alone", (False, True)), ("apart", (True, False))):
        svg = draw("generated", tmp_path, sweep=name, format="svg").decode()
        assert (of_gan in svg, of_decoder in svg) == texts


def test_the_run_in_mlflow_shows_reconstructions_under_a_name_of_theirs() -> None:
    """Told by the table's columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(reconstructed().drop_columns(["stage_id", "dataset", "split"]), sink)
    assert picture("foot", bytes(sink.getvalue())).keys() == {"reconstructed.png"}


def test_the_report_shows_the_grid(tmp_path: Path) -> None:
    """Beside the sweep's histograms; a sweep that has made none shows none."""
    for name in ("with", "without"):
        shutil.copytree(EXPORTS / "generated", tmp_path / name)
        pq.write_table(history_schema().empty_table(), tmp_path / name / HISTORY)
    (tmp_path / "without" / GENERATED).unlink()
    assert "Images made of training images" in report(tmp_path, ["with"])
    assert "Images made of training images" not in report(tmp_path, ["without"])
