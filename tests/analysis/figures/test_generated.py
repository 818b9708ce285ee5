"""The grid of images that were made: what is shown, of which stage, and where."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_figures import EXPORTS

from analysis.exports.schema import GENERATED, HISTORY, history_schema
from analysis.figures.draw import draw
from analysis.figures.generated import image_of, picture
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


def test_the_report_shows_the_grid(tmp_path: Path) -> None:
    """Beside the sweep's histograms; a sweep that has made none shows none."""
    for name in ("with", "without"):
        shutil.copytree(EXPORTS / "generated", tmp_path / name)
        pq.write_table(history_schema().empty_table(), tmp_path / name / HISTORY)
    (tmp_path / "without" / GENERATED).unlink()
    assert "Images made of training images" in report(tmp_path, ["with"])
    assert "Images made of training images" not in report(tmp_path, ["without"])
