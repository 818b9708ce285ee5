"""Scores of others: every fault of a file is refused with its row."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from osr_core.context import SCORES, Result
from osr_core.data import benchmark
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints, open_test
from osr_core.errors import DataError
from osr_core.execution import run_stage
from osr_core.kinds import IMPORT_SCORES
from osr_core.metrics import auroc
from osr_core.scores_import import TABLE
from osr_core.trial import test_of as images_of
from osr_core.weights_import import FILE
from tests.plain import context

SPLIT = class_split("digits", "random", 0)
TEST = images_of(SPLIT, fingerprints(None, benchmark("digits")))
CONFIG = {"method": {"name": "theirs"}, "test": TEST, "file": "3f9a"}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Scores of all test images of the split, drawn at random."""
    test = open_test(None, TEST, image_size=16, channels=1)
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(len(test.labels), SPLIT.num_known, generator=draws)
    return [
        {
            "image_id": image,
            "label": label,
            "unknown_score": float(-each.max()),
            "logits": each.tolist(),
            "predicted": int(each.argmax()),
        }
        for image, label, each in zip(test.image_ids, test.labels.tolist(), logits, strict=True)
    ]


def taken(table: pa.Table) -> Result:
    """What the import leaves."""
    sink = BytesIO()
    pq.write_table(table, sink)
    inputs = {FILE: {TABLE: sink.getvalue()}}
    return run_stage(IMPORT_SCORES.name, CONFIG, context(inputs))


def with_fault(rows: Rows, change: Callable[[Rows], Any]) -> pa.Table:
    """The rows after a change of a copy."""
    copied = [{**row, "logits": [*row["logits"]]} for row in rows]
    change(copied)
    return pa.Table.from_pylist(copied)


def test_scores_in_any_order_give_the_numbers_of_their_images(rows: Rows) -> None:
    """What `score` leaves: its table in the order of the test set, and all metrics."""
    result = taken(pa.Table.from_pylist(rows[::-1]))
    left = pq.read_table(BytesIO(result.artifacts[SCORES])).to_pydict()
    assert left["image_id"] == [row["image_id"] for row in rows]
    assert left["unknown_score"] == pytest.approx([row["unknown_score"] for row in rows])
    assert left["predicted"] == [row["predicted"] for row in rows]
    labels = torch.tensor(left["label"]).numpy()
    scores = torch.tensor(left["unknown_score"]).numpy()
    assert result.metrics["test/auroc"] == auroc(scores, labels)
    assert {"test/oscr", "test/ece", "scored/known_images_min"} <= result.metrics.keys()


def test_a_file_without_predictions_predicts_where_logits_are_largest(rows: Rows) -> None:
    """As every method here does."""
    whole = pa.Table.from_pylist(rows)
    assert taken(whole.drop_columns(["predicted"])).artifacts == taken(whole).artifacts


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda r: r.pop(4), "has 444 rows and the split 445 test images; 'digits/test/"),
        (lambda r: r.append(r[2]), "row 446: '.*' stands there twice"),
        (lambda r: r[6].update(image_id="mnist/test/1"), "row 7: 'mnist/test/1' is no test image"),
        (lambda r: r[2].update(label=6), "row 3: label 6 is none of the known classes \\(0 to 5"),
        (lambda r: r[2].update(label=-2), "row 3: label -2 is none"),
        (lambda r: r[2].update(label=(r[2]["label"] + 2) % 6), "row 3: label ., and the image has"),
        (lambda r: r[0].update(unknown_score=float("nan")), "unknown_score is no .* in row 1"),
        (lambda r: r[9].update(unknown_score=None), "unknown_score is empty in row 10"),
        (lambda r: r[1]["logits"].__setitem__(0, float("inf")), "logits is no finite .* in row 2"),
        (lambda r: r[1]["logits"].append(0.0), "row 2: 7 logits, and the split has 6"),
        (lambda r: r[5].update(predicted=6), "row 6: predicted 6, and the largest logit"),
    ],
)
def test_a_fault_is_refused_with_its_row(
    change: Callable[[Rows], Any], problem: str, rows: Rows
) -> None:
    """A row that is wrong by one would move every number a little, and nobody would see it."""
    with pytest.raises(DataError, match=problem):
        taken(with_fault(rows, change))


def test_columns_and_their_types_are_told(rows: Rows) -> None:
    """Whoever writes the file reads the sentence."""
    whole = pa.Table.from_pylist(rows)
    with pytest.raises(DataError, match=r"no column logits. There is: image_id, label"):
        taken(whole.drop_columns(["logits"]))
    words = pa.array(["high"] * len(whole))
    with pytest.raises(DataError, match="the column unknown_score is of type string"):
        taken(whole.set_column(2, "unknown_score", words))
    inputs = {FILE: {TABLE: b"no parquet"}}
    with pytest.raises(DataError, match="no Parquet file"):
        run_stage(IMPORT_SCORES.name, CONFIG, context(inputs))


@pytest.mark.parametrize("name", ["image_id", "unknown_score", "predicted"])
def test_a_column_that_is_there_twice_is_refused(name: str, rows: Rows) -> None:
    """Nobody says which of the two counts; Parquet takes both."""
    whole = pa.Table.from_pylist(rows)
    with pytest.raises(DataError, match=f"have the column {name} more than once"):
        taken(whole.append_column(name, whole[name]))


def test_a_file_without_rows_is_told(rows: Rows) -> None:
    """As a program leaves that has found no image."""
    with pytest.raises(DataError, match="the scores have no rows"):
        taken(pa.Table.from_pylist(rows)[:0])


def test_scores_that_only_float64_tells_apart_are_refused(rows: Rows) -> None:
    """Saturated confidences become one, and a perfect ranking of the images a tie."""

    def saturate(copied: Rows) -> None:
        for row in copied:
            row["unknown_score"] = -1 + (1e-10 if row["label"] == -1 else 1e-12)

    table = with_fault(rows, saturate)
    with pytest.raises(DataError, match=r"AUROC of 100\.000 %, and 50\.000 % as float32"):
        taken(table)
    meant = table["unknown_score"].cast(pa.float32())
    place = table.column_names.index("unknown_score")
    assert taken(table.set_column(place, "unknown_score", meant)).metrics["test/auroc"] == 0.5


def test_a_few_scores_that_meet_by_chance_are_taken(rows: Rows) -> None:
    """Of 10,000 different ones, some always lie within float32's rounding of each other."""

    def meet(copied: Rows) -> None:
        for row, score in ((3, 0.12345678901), (8, 0.12345678902)):
            copied[row].update(unknown_score=score)

    assert taken(with_fault(rows, meet)).metrics


def test_scores_that_are_equal_already_may_be_so(rows: Rows) -> None:
    """A tie of the file is none of ours."""
    tied = with_fault(rows, lambda r: [row.update(unknown_score=-0.1) for row in r[:9]])
    assert taken(tied).metrics


def test_a_prediction_that_only_float64_tells_is_asked_for(rows: Rows) -> None:
    """The first of two equal logits would be chosen."""
    close = [0.0, 1 - 1e-12, 1.0, *[0.0] * (SPLIT.num_known - 3)]
    table = with_fault(rows, lambda r: r[4].update(logits=close, predicted=2))
    with pytest.raises(DataError, match=r"row 5: the largest logits differ, .* column predicted"):
        taken(table.drop_columns(["predicted"]))
    left = taken(table).artifacts[SCORES]
    assert pq.read_table(BytesIO(left))["predicted"][4].as_py() == 2


def test_a_lost_file_says_what_to_do() -> None:
    """A worker has no file to make it again from."""
    with pytest.raises(DataError, match="Import their file again"):
        run_stage(IMPORT_SCORES.name, CONFIG, context({}))
