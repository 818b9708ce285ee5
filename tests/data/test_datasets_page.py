"""docs/datasets.md and docs/own-data.md: the example and what they say of names and places."""

import json
import re
from pathlib import Path

import pytest
from data_files import noise, png
from typer.testing import CliRunner

from osr_core.data import BENCHMARKS, READERS
from osr_core.data.fetch import downloads
from osr_core.data.splits import protocols
from osr_core.errors import DataError
from sweeps.commands.app import app
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import load_spec
from tests.plain import results

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("datasets.md", "own-data.md"))
ROWS = re.findall(r"^\| (`.*) \| (.*) \| (.*) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)


def example(language):
    """The page's one block in a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return block


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The page's folders, split file and spec as they stand there; six images a folder."""
    for folder in set(re.findall(r"~/data/(flowers/\w+/\w+)/1\.jpg", PAGE)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number, pixels in enumerate(noise(6, 70, 90, 3, seed=len(folder))):
            (tmp_path / "data" / folder / f"{number}.jpg").write_bytes(png(pixels, "JPEG"))
    (tmp_path / "flowers.json").write_text(example("json"))
    (tmp_path / "flowers.yaml").write_text(example("yaml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_the_example_is_planned_as_the_page_says(flowers):
    """Its commands, word by word but for the data folder; `osr run` would start this plan."""
    commands = re.findall(r"^osr ((?:splits|plan) .*flowers\.\w+[^#\n]*)", PAGE, re.MULTILINE)
    splits, plan = (line.replace("~/data", str(flowers)).split() for line in commands)
    (split,) = json.loads(CliRunner().invoke(app, [*splits, "--json"]).stdout)
    assert (split["known"], split["unknown"]) == ([2, 3], [0, 1])
    counts = json.loads(CliRunner().invoke(app, [*plan, "--json"]).stdout)
    assert f"# {counts['trials']} trials, {counts['stages']} stages" in PAGE
    assert counts["to_run"] == counts["stages"]
    two_classes = 2 * 6  # counted in the files: nobody has published how many they are
    assert counts["image_passes"] == counts["epochs"] * two_classes


def test_the_example_trains_and_scores(flowers):
    """From folders of images to numbers, with one epoch in place of the page's many."""
    spec = load_spec("flowers.yaml")
    plan = plan_with_data(spec.model_copy(update={"training": {"epochs": 1}}), flowers)
    scored = [
        result.metrics["test/auroc"]
        for stage, result in results(plan.stages.values(), flowers)
        if stage.kind.name == "score"
    ]
    assert len(scored) == 3
    assert all(0 <= value <= 1 for value in scored)


def test_class_numbers_are_as_the_page_says(flowers):
    """The one thing that a split file must get right."""
    numbered = dict(re.findall(r"(\w+) (\d)[,.]", PAGE.partition("both subsets, sorted:")[2][:60]))
    loaded = READERS["folder:flowers"].load(flowers, "test")
    names = sorted(path.name for path in (flowers / "flowers" / "test").iterdir())
    assert {name: str(number) for number, name in enumerate(names)} == numbered
    assert loaded.labels.tolist() == [number for number in range(4) for _ in range(6)]


def test_every_dataset_stands_there_with_its_classes_image_and_protocols():
    """And nothing else: a name that is read off the page must run."""
    listed = {name: row[1:] for row in ROWS for name in re.findall(r"`(.+?)`", row[0])}
    assert listed.keys() == {*BENCHMARKS, "folder:NAME", "parquet:NAME"}
    entries = protocols()
    for name, pair in BENCHMARKS.items():
        known, unknown, image, families = listed[name]
        assert f"{len(pair.known.classes):,})" in known
        same = pair.known is pair.unknown
        assert unknown == "the same" if same else f"({len(pair.unknown.classes)})" in unknown
        assert image == "x".join(map(str, (pair.known.channels, *[pair.known.image_size] * 2)))
        assert all(name in entries[family].counts for family in families.split(", "))


@pytest.mark.parametrize("name", [name for name in READERS if name != "digits"])
def test_every_place_that_is_looked_at_stands_there(name, tmp_path):
    """Each part of each path that the error about missing files names."""
    layout = PAGE.partition("## Where the files go")[2].partition("```\n")[2].partition("```")[0]
    for subset in ("train", "test"):
        with pytest.raises(DataError) as caught:
            READERS[name].files(tmp_path, subset)
        places = [line for line in str(caught.value).splitlines() if line.startswith("  ")]
        assert places
        for place in places:
            for part in Path(place.strip().removesuffix(".gz")).relative_to(tmp_path).parts:
                assert re.search(rf"(?<![\w-]){re.escape(part)}(?![\w-])", layout), place


def test_what_can_be_fetched_stands_there():
    """No less and no more."""
    (line,) = re.findall(r"^osr datasets fetch (.*);", PAGE, re.MULTILINE)
    assert set(re.findall(r"\w+", line)) - {"also"} == set(downloads())
