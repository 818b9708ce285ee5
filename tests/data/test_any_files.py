"""Whatever lies in the data folder: it is read, or a sentence says why not or what is left out."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from any_files import FOLDERS, IDX_FILES, PARQUET_FILES, SPLIT_FILES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osr_core.data import BENCHMARKS
from osr_core.data.base import Subset
from osr_core.data.checks import class_counts, remarks, task_problems
from osr_core.data.folders import is_hidden
from osr_core.data.splits import class_split, splits_of
from osr_core.errors import ConfigError, DataError

ANY = st.integers(0, 100)  # which of the files
SUBSETS: tuple[Subset, ...] = ("train", "test")
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck])
Tree = Mapping[str, Callable[[Path], object]]  # by path below the root, what makes it


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """What is remembered of files is kept beside them."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))


def answers(root: Path, name: str) -> Iterator[Any]:
    """What is read and said of the files under `root`; of what is refused, the sentence."""
    pair, reader = BENCHMARKS[name], BENCHMARKS[name].known

    def loaded(subset: Subset) -> int:
        found = reader.load(root, subset)
        assert found.labels.tolist() == reader.labels(root, subset).tolist()
        assert len(found.images) == len(found) > 0
        return len(found)

    asked: list[Callable[[], Any]] = [
        lambda: list(reader.class_names(root)),
        lambda: list(remarks(root, pair)),
    ]
    for each in SUBSETS:
        asked.append(lambda subset=each: reader.fingerprint(root, subset))
        asked.append(lambda subset=each: loaded(subset))
    for ask in asked:
        try:
            yield ask()
        except DataError as error:
            yield error


def found_in(tree: Tree, name: str) -> tuple[list[str], bool]:
    """What `answers` gives for files that are made for it, and whether any of it is an error."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, make in tree.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            make(root / path)
        found = list(answers(root, name))
        for text in map(str, found):
            assert text.strip()
            assert "object at 0x" not in text
        refused = any(isinstance(each, DataError) for each in found)
        return [str(each).replace(folder, "ROOT") for each in found], refused


def hidden(path: str) -> bool:
    """Whether a file, or a folder that it lies in, is hidden."""
    return any(is_hidden(part) for part in Path(path).parts)


def check(tree: Tree, name: str, number: int) -> None:
    """A file counts, whichever it is: without it, something else is read or said.

    Where the files are refused, the sentence names what is to be mended first; the others wait.
    """
    whole, refused = found_in(tree, name)
    if refused:
        return
    path = list(tree)[number % len(tree)]
    without, _ = found_in({other: tree[other] for other in tree if other != path}, name)
    assert (without == whole) == hidden(path), path


def check_splits(content: bytes) -> None:
    """A split file gives splits or sentences."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.json"
        path.write_bytes(content)
        for name in ("digits", "cifar+10", "folder:birds"):
            said = []
            try:
                for index in range(splits_of(name, str(path)) or 0):
                    split = class_split(name, str(path), index)
                    assert len(set(split.known)) > 1
                    assert split.unknown
                    if name == "digits":
                        counts = partial(class_counts, None)
                        assert not list(
                            task_problems(None, split, counts, channels=1, validation=0.1)
                        )
            except ConfigError as error:
                said = error.problems
            assert all(sentence.strip() for sentence in said)


@FEW
@given(FOLDERS, ANY)
def test_any_folder_is_read_or_refused_and_no_file_passes_in_silence(tree, number):
    """Classes, images and what tools leave, in any place, with any name and any content."""
    check(tree, "folder:birds@8", number)


@FEW
@given(PARQUET_FILES, ANY)
def test_any_parquet_file_is_read_or_refused(tree, number):
    """Any columns of any type, damaged, cut, in parts or beside others."""
    check(tree, "parquet:birds@8", number)


@FEW
@given(IDX_FILES)
def test_any_idx_files_are_read_or_refused(tree):
    """Other shapes, other lengths, damaged, packed or not."""
    found_in(tree, "mnist")


@FEW
@given(SPLIT_FILES)
def test_any_split_file_gives_splits_or_sentences(content):
    """Other values in any place, and text that is no JSON."""
    check_splits(content)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["folder:birds@8", "parquet:birds@8", "mnist", "splits"])
def test_nor_do_thousands(name):
    """The same for minutes."""
    strategy, look = {
        "folder:birds@8": (FOLDERS, lambda tree, number: check(tree, name, number)),
        "parquet:birds@8": (PARQUET_FILES, lambda tree, number: check(tree, name, number)),
        "mnist": (IDX_FILES, lambda tree, _: found_in(tree, name)),
        "splits": (SPLIT_FILES, lambda content, _: check_splits(content)),
    }[name]

    @settings(FEW, max_examples=3_000)
    @given(strategy, ANY)
    def every(example, number):
        look(example, number)

    every()
