"""Class splits: published, random and one's own."""

import json

import pytest

from osr_core.data import BENCHMARKS
from osr_core.data.split_files import split_problems
from osr_core.data.splits import (
    ClassSplit,
    _published,
    class_split,
    protocols,
    splits_of,
)
from osr_core.errors import ConfigError

PUBLISHED = {
    (name, benchmark, index)
    for name, protocol in protocols().items()
    for benchmark, count in protocol.counts.items()
    for index in range(count or 0)
}


def write(path, splits):
    """A file of one's own; gives the name of the protocol."""
    path.write_text(json.dumps({"splits": splits}))
    return str(path)


# -- published -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("benchmark", "openness"), [("mnist", 13.40), ("cifar+10", 33.33), ("cifar+50", 62.86)]
)
def test_openness_is_that_of_the_papers(benchmark, openness):
    """CAC's table 1: 13.4, 33.3 and 62.9 %."""
    assert 100 * class_split(benchmark, "cac", 0).openness == pytest.approx(openness, abs=5e-3)


def test_openness_of_tinyimagenet_is_that_of_the_papers():
    """20 known of 200: 57.4 %."""
    known, unknown = tuple(range(20)), tuple(range(20, 200))
    split = ClassSplit("tinyimagenet", "cac", 0, "tinyimagenet", known, "tinyimagenet", unknown)
    assert 100 * split.openness == pytest.approx(57.36, abs=5e-3)


def test_a_split_lists_its_classes_in_order():
    """ARPL's lists are unsorted; the label of a class is its position in the sorted list."""
    split = class_split("mnist", "arpl", 0)
    assert (split.known, split.unknown) == ((2, 3, 4, 5, 8, 9), (0, 1, 6, 7))
    assert (split.id, split.num_known) == ("mnist/0", 6)
    assert (split.known_from, split.unknown_from) == ("mnist", "mnist")


def test_unknown_classes_may_come_from_another_dataset():
    """CIFAR+10: four vehicles of CIFAR-10 against ten animals of CIFAR-100."""
    split = class_split("cifar+10", "cac", 0)
    assert (split.known_from, split.unknown_from) == ("cifar10", "cifar100")
    assert split.known == (0, 1, 8, 9)
    assert split.unknown == (26, 31, 34, 44, 45, 63, 65, 77, 93, 98)


@pytest.mark.parametrize(("protocol", "benchmark", "index"), sorted(PUBLISHED))
def test_every_published_split_is_sound(protocol, benchmark, index):
    """The rules for a user's own file hold for ours; class names agree with the readers'."""
    pair = BENCHMARKS[benchmark]
    raw = _published()[protocol]["splits"][benchmark][index]
    assert split_problems(pair, raw) == []
    for side, reader in (("known", pair.known), ("unknown", pair.unknown)):
        if f"{side}_names" in raw:
            assert [reader.classes[label] for label in raw[side]] == raw[f"{side}_names"]


def test_ten_classes_are_divided_six_to_four():
    """No class of MNIST or CIFAR-10 is left out by any packaged split; PMAL's variant says four."""
    for protocol, benchmark, index in PUBLISHED:
        if benchmark in {"digits", "mnist", "cifar10"}:
            split = class_split(benchmark, protocol, index)
            num_known = 4 if protocol == "pmal@four_known" else 6
            assert (len(split.known), len(split.unknown)) == (num_known, 10 - num_known)
            assert sorted(split.known + split.unknown) == list(range(10))


def test_digits_take_the_lists_of_mnist():
    """The same ten classes, so that the smoke sweep runs the published splits."""
    for protocol in ("cac", "osrci", "arpl", "vaze", "cac@original_2020"):
        for index in range(5):
            mnist = class_split("mnist", protocol, index)
            digits = class_split("digits", protocol, index)
            assert (digits.known, digits.unknown) == (mnist.known, mnist.unknown)
            assert digits.known_from == "digits"


def test_variants_are_protocols_of_their_own():
    """The splits of CAC's first version differ from those of its repository today."""
    assert class_split("mnist", "cac@original_2020", 0).known == (0, 1, 2, 3, 6, 9)
    assert class_split("mnist", "cac", 0).known == (0, 1, 2, 4, 5, 9)
    assert splits_of("cifar+50", "osrci@nonvehicle_variant") == 5


@pytest.mark.parametrize("benchmark", ["MNIST", "CIFAR10", "CIFAR+10", "CIFAR+50"])
@pytest.mark.parametrize(("folder", "protocol"), [("head", "cac"), ("paper", "cac@original_2020")])
def test_protocol_cac_is_what_the_authors_published(data_root, folder, protocol, benchmark):
    """Against copies of the files in the authors' repository."""
    if not (data_root / "cac-splits").is_dir():
        pytest.skip("the authors' files are not in the data folder")
    for index in range(5):
        theirs = json.loads(
            (data_root / "cac-splits" / folder / benchmark / f"{index}.json").read_text()
        )
        ours = class_split(benchmark.lower(), protocol, index)
        assert ours.known == tuple(sorted(theirs["Known"]))
        assert ours.unknown == tuple(sorted(theirs["Unknown"]))


def test_tinyimagenet_numbers_are_positions_in_the_sorted_wnids(data_root):
    """In every protocol, also where the published integers were positions in wnids.txt."""
    wnids = data_root / "tinyimagenet-wnids.txt"
    if not wnids.exists():
        pytest.skip("wnids.txt is not in the data folder")
    in_order = sorted(wnids.read_text().split())
    checked = 0
    for protocol in _published().values():
        for split in protocol["splits"].get("tinyimagenet", []):
            assert [in_order[label] for label in split["known"]] == split["known_wnids"]
            assert sorted(split["known"] + split["unknown"]) == list(range(200))
            checked += 1
    assert checked == 35


def test_every_protocol_names_its_source():
    """And its defects, where it has any; `osr splits` shows both."""
    listed = protocols()
    assert {"cac", "cac@original_2020", "osrci", "arpl", "vaze", "random"} <= set(listed)
    for protocol in listed.values():
        assert protocol.source
        assert protocol.notes
    assert listed["cac"].counts["cifar10"] == 5
    assert listed["random"].counts["cifar10"] is None
    assert "cifar+10" not in listed["random"].counts


# -- random --------------------------------------------------------------------------------------


def test_random_splits_do_not_change():
    """They come from a hash: a new library version must not draw other classes."""
    assert class_split("digits", "random", 0).known == (0, 1, 3, 5, 6, 8)
    assert class_split("digits", "random", 1).known == (2, 4, 5, 6, 7, 8)


def test_random_splits_divide_all_classes_sixty_to_forty():
    """6 of 10 and 60 of 100."""
    for benchmark, num_known, num in (("mnist", 6, 10), ("cifar100", 60, 100)):
        split = class_split(benchmark, "random", 123456)
        assert split.num_known == num_known
        assert sorted(split.known + split.unknown) == list(range(num))


def test_random_splits_differ_by_index_and_by_benchmark():
    """Each is drawn from what it is."""
    draws = {
        class_split(benchmark, "random", index).known
        for benchmark in ("mnist", "cifar10")
        for index in range(10)
    }
    assert len(draws) > 15


def test_random_splits_choose_every_class_equally_often():
    """400 draws of 6 from 10: 240 expected, standard deviation 9.8."""
    counts = [0] * 10
    for index in range(400):
        for label in class_split("mnist", "random", index).known:
            counts[label] += 1
    assert max(abs(count - 240) for count in counts) < 40


def test_random_has_no_number_of_splits():
    """Any index will do."""
    assert splits_of("digits", "random") is None
    assert splits_of("digits", "cac") == 5


# -- one's own -----------------------------------------------------------------------------------


def test_a_file_of_one_s_own_is_a_protocol(tmp_path):
    """In the layout of the packaged ones; names in any case."""
    path = tmp_path / "mine.json"
    protocol = write(
        path,
        {
            "MNIST": [{"known": [7, 1], "unknown": [0]}, {"known": [0, 1], "unknown": [2, 3]}],
            "cifar+10": [{"known": [0, 1], "unknown": [0, 1]}],
        },
    )
    split = class_split("mnist", protocol, 0)
    assert (split.known, split.unknown, split.protocol) == ((1, 7), (0,), protocol)
    assert splits_of("mnist", protocol) == 2
    assert class_split("cifar+10", protocol, 0).unknown == (0, 1)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    """Mending them one by one is a poor afternoon."""
    protocol = write(
        tmp_path / "mine.json",
        {
            "mnist": [
                {"known": [1, 1, 2], "unknown": [2, 3]},
                {"known": [4], "unknown": []},
                {"known": [0, 10], "unknown": [-1]},
                {"known": [0, 1]},
                {"known": [0, "1"], "unknown": [2]},
                {"known": [0, 1], "unknown": [2]},
            ],
            "minst": [],
        },
    )
    with pytest.raises(ConfigError) as error:
        class_split("mnist", protocol, 5)
    told = [problem.removeprefix(f"{protocol}: ") for problem in error.value.problems]
    assert told == [
        "mnist/0: known lists 1 more than once.",
        "mnist/0: 2 cannot be both known and unknown.",
        "mnist/1: at least 2 known must be given, not 1.",
        "mnist/1: at least 1 unknown must be given, not 0.",
        "mnist/2: known class 10 does not exist; mnist has 0 to 9.",
        "mnist/2: unknown class -1 does not exist; mnist has 0 to 9.",
        'mnist/3: a split must be {"known": [...], "unknown": [...]}.',
        "mnist/4: known must be a list of class numbers or of names, not [0, '1'].",
        "dataset 'minst' does not exist. Did you mean 'mnist'? There is: "
        f"{', '.join(sorted(BENCHMARKS))}.",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must have the layout"),
        ('{"splits": []}', "must have the layout"),
        ('{"splits": {"mnist": {}}}', "must have the layout"),
        ('{"splits": {"mnist": [], "MNIST": []}}', "given twice"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path, content, message):
    """With the right one shown."""
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        class_split("mnist", str(path), 0)


def test_a_file_that_is_not_there_is_named():
    """A path is recognised by its ending."""
    with pytest.raises(ConfigError, match=r"protocol 'none.json' cannot be read: No such file"):
        class_split("mnist", "none.json", 0)


# -- wrong requests ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            ("cifar10", "cac", 7),
            "split 'cifar10/7' is not defined; protocol cac has 0 to 4 of cifar10 (cac.json).",
        ),
        (
            ("cifar10", "cac@original_2020", -1),
            "split 'cifar10/-1' is not defined; protocol cac@original_2020 has 0 to 4 of cifar10 "
            "(cac.json).",
        ),
        (("digits", "random", -1), "split 'digits/-1' is not defined; indices begin at 0."),
        (("cifar", "cac", 0), "dataset 'cifar' does not exist. Did you mean 'cifar10'?"),
        (("cifar10", "cca", 0), "protocol 'cca' does not exist. Did you mean 'cac'?"),
        (("cifar100", "cac", 0), "protocol cac has no split of cifar100; it has splits of"),
        (
            ("cifar+10", "random", 0),
            "the unknown classes of cifar+10 come from cifar100. Choose arpl, cac,",
        ),
    ],
)
def test_a_wrong_request_is_told_what_there_is(request_, message):
    """What, the value, what is allowed."""
    with pytest.raises(ConfigError) as error:
        class_split(*request_)
    assert message in str(error.value)
