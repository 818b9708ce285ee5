"""Published values against the papers' tables, typed in here a second time."""

import math

import pytest

from analysis.papers.published import DATASETS, Published, published

NONE = math.nan
CAC_AUROC = {
    "Softmax": (97.8, 88.6, 67.7, 81.6, 80.5, 57.7),
    "OpenMax": (98.1, 89.4, 69.5, 81.7, 79.6, 57.6),
    "G-OpenMax": (98.4, 89.6, 67.5, 82.7, 81.9, 58.0),
    "OSRCI": (98.8, 91.0, 69.9, 83.8, 82.7, 58.6),
    "CROSR": (99.1, 89.9, NONE, NONE, NONE, 58.9),
    "C2AE": (98.9, 92.2, 89.5, 95.5, 93.7, 74.8),
    "CAC": (98.5, 93.8, 80.3, 86.3, 87.2, 77.2),
}
CAC_ACCURACY = {
    "Softmax": (99.7, 96.3, 92.7, 94.7, 94.7, 73.3),
    "CAC": (99.8, 97.0, 93.4, 95.2, 95.2, 75.9),
}
PMAL_ACCURACY = {
    "Softmax": (99.5, 94.7, 80.1, NONE, NONE, NONE),
    "CPN": (99.7, 96.7, 92.9, 94.8, 95.0, 81.4),
    "PROSER": (NONE, 96.5, 92.8, NONE, NONE, 52.1),
    "CGDL": (99.6, 94.2, 91.2, NONE, NONE, NONE),
    "OpenHybrid": (94.7, 92.9, 86.8, NONE, NONE, NONE),
    "RPL": (99.5, 95.3, 94.3, 94.6, 94.7, 81.3),
    "ARPL": (99.5, 94.3, 87.9, 94.7, 92.9, 65.9),
    "ARPL+CS": (99.5, 94.3, 87.9, 94.7, 92.9, 65.9),
    "PMAL": (99.6, 96.5, 96.3, 96.4, 96.9, 84.4),
}
PMAL_AUROC = {
    "Softmax": (97.8, 88.6, 67.7, 81.6, 80.5, 57.7),
    "CPN": (99.0, 92.6, 82.8, 88.1, 87.9, 63.9),
    "PROSER": (NONE, 94.3, 89.1, 96.0, 95.3, 69.3),  # corrected: printed under MNIST
    "CGDL": (99.4, 93.5, 90.3, 95.9, 95.0, 76.2),
    "OpenHybrid": (99.5, 94.7, 95.0, 96.2, 95.5, 79.3),
    "RPL": (99.3, 95.1, 86.1, 85.6, 85.0, 70.2),
    "ARPL": (99.7, 96.7, 91.0, 97.1, 95.1, 78.2),
    "ARPL+CS": (99.7, 96.7, 91.0, 97.1, 95.1, 78.2),
    "PMAL": (99.5, 96.3, 94.6, 96.0, 94.3, 81.8),
}
PMAL_WRN = {
    ("RPL", "accuracy"): (99.6, 95.8, 95.1, 95.5, 95.9, 81.7),
    ("RPL", "auroc"): (99.6, 96.8, 90.1, 97.6, 96.8, 80.9),
    ("PMAL", "accuracy"): (99.8, 97.1, 97.5, 97.8, 98.1, 84.7),
    ("PMAL", "auroc"): (99.7, 97.0, 95.1, 97.8, 96.9, 83.1),
}
TABLES = [
    ("CAC", "Table 2", "auroc", CAC_AUROC),
    ("CAC", "Table 3", "accuracy", CAC_ACCURACY),
    ("PMAL", "Table 1", "accuracy", PMAL_ACCURACY),
    ("PMAL", "Table 1", "auroc", PMAL_AUROC),
]


def row(paper, title, metric, backbone):
    """What one paper prints for a method on the six datasets."""
    values = []
    for dataset in DATASETS:
        found = published(title, dataset, metric, backbone=backbone)
        values.append(next((p.value_percent for p in found if p.paper == paper), NONE))
    return tuple(values)


@pytest.mark.parametrize(
    ("paper", "metric", "title", "expected"),
    [
        (paper, metric, title, row)
        for paper, _, metric, rows in TABLES
        for title, row in rows.items()
    ],
)
def test_every_published_value_is_found(paper, metric, title, expected):
    """Under our title and our dataset, in percent, and nothing where the paper has a gap."""
    assert row(paper, title, metric, "osrci") == pytest.approx(expected, abs=0, nan_ok=True)


@pytest.mark.parametrize(("title", "metric"), PMAL_WRN)
def test_backbone_chooses_the_row(title, metric):
    """PMAL's table has RPL and PMAL once for each network."""
    assert row("PMAL", title, metric, "wrn") == PMAL_WRN[title, metric]


def test_row_of_an_unknown_backbone_is_not_guessed():
    """The numbers of another network are not this method's."""
    assert published("PMAL", "svhn", "auroc") == []
    assert published("PMAL", "svhn", "auroc", backbone="resnet") == []


def test_value_says_where_it_is_printed():
    """Both papers print a Softmax row for SVHN."""
    assert published("Softmax", "svhn", "auroc") == [
        Published("CAC", "Table 2", 88.6),
        Published("PMAL", "Table 1", 88.6),
    ]


def test_values_that_the_authors_re_ran_are_starred():
    """CPN's accuracy on CIFAR+10 has a star in PMAL's table, its AUROC has none."""
    assert [p.starred for p in published("CPN", "cifar+10", "accuracy")] == [True]
    assert [p.starred for p in published("CPN", "cifar+10", "auroc")] == [False]


def test_corrected_values_say_so():
    """PROSER's 94.3 moves from MNIST to SVHN; ARPL's AUROC is that of ARPL+CS."""
    (svhn,) = published("PROSER", "svhn", "auroc")
    (cifar,) = published("PROSER", "cifar10", "auroc")
    (arpl,) = published("ARPL", "svhn", "auroc")
    assert published("PROSER", "mnist", "auroc") == []
    assert (svhn.value_percent, svhn.note[:35]) == (94.3, "94.3 is printed under MNIST with SV")
    assert cifar.note == ""
    assert arpl.note == "these are the published ARPL+CS values, not plain ARPL"
    assert published("ARPL", "svhn", "accuracy")[0].note == ""


def test_what_no_paper_prints_is_empty():
    """Methods, datasets and metrics of ours that the papers do not have."""
    assert published("MLS", "svhn", "auroc") == []
    assert published("Softmax", "digits", "auroc") == []
    assert published("Softmax", "svhn", "oscr") == []
