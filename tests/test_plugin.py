"""Methods of other packages, and the pages about methods and how to write one."""

import dataclasses
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from osr_core.methods import OWN
from osr_core.methods.plugins import GROUP, Methods
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import parse_spec

ROOT = Path(__file__).parents[1]
PAGE = "".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("methods.md", "own-method.md")
)
SCRIPT = """
import sys
import torch
from osr_core.data.tasks import fingerprints
from osr_core.data import benchmark
from sweeps.planning.plan import make_plan
from sweeps.planning.spec import load_spec
from tests.plain import results

torch.set_num_threads(1)
plan = make_plan(load_spec(sys.argv[1]), fingerprints(None, benchmark("digits")))
for stage, result in results(plan.stages.values()):
    if stage.kind.name == "score":
        print(plan.describe(stage), result.metrics["test/auroc"])
"""


def example(language: str, place: int = 0) -> str:
    """One of the page's blocks in a language."""
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[place])


def install(site: Path, name: str, points: str, package: str = "plugin") -> None:
    """A package's metadata with entry points, as pip leaves it."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {points}\n")


def test_the_pages_example_is_planned_trained_and_scored(tmp_path: Path) -> None:
    """Code, pyproject lines and spec exactly as the page prints them."""
    project = tomllib.loads(example("toml"))
    ((name, points),) = project["project"]["entry-points"][GROUP].items()
    (module,) = project["tool"]["setuptools"]["py-modules"]
    assert points.partition(":")[0] == module
    assert f"`{module}.py`, all of it:" in PAGE
    (tmp_path / f"{module}.py").write_text(example("python"))
    install(tmp_path, name, points)
    (tmp_path / "spec.yaml").write_text(example("yaml"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "spec.yaml")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    scored = [line.split()[1] for line in done.stdout.splitlines()]
    assert scored == ["softmax", "cosine", "cosine"]


@pytest.mark.parametrize("name", OWN)
def test_the_page_describes_every_method(name: str) -> None:
    """Its title, and each of its settings with the default that the code has."""
    method = OWN[name]
    _, found, rest = PAGE.partition(f"## {method.title} (`{name}`)\n")
    assert found
    section = rest.partition("\n## ")[0]
    assert all(f"- {part}: " in section for part in ("Paper", "Stages", "Settings", "Differs"))
    (line,) = re.findall(r"^- Settings: (.*)\.$", section, re.MULTILINE)
    written = dict(re.findall(r"`(\w+)` ([^,;]+)", line))
    defaults = {each.name: str(each.default) for each in dataclasses.fields(method.Config)}
    assert {key: value.casefold() for key, value in defaults.items()} == written


@pytest.mark.parametrize("name", OWN)
def test_the_page_has_the_stages_that_are_planned(name: str) -> None:
    """In their order, each kind once."""
    section = PAGE.partition(f"(`{name}`)\n")[2]
    (line, *_) = re.findall(r"^- Stages: (.*?)\.", section, re.MULTILINE)
    written = dict.fromkeys(re.sub(r" \(.*?\)", "", line).split(", "))
    values = {"name": "one", "datasets": ["digits"], "splits": [0], "methods": {name: {}}}
    data = {"digits/train": "-", "digits/test": "-"}
    stages = make_plan(parse_spec(values, "one"), data).stages.values()
    assert list(written) == list(
        dict.fromkeys(s.kind.name.partition(".")[2] or s.kind.name for s in stages)
    )


def test_a_plugins_name_must_be_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else results of two methods would stand under one name; not even ours is handed out."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "cac", "nowhere:CAC")
    with pytest.raises(ConfigError, match=r"'cac' of plugin 1\.0 has the name .* of osr-sweeps"):
        Methods(OWN).named("softmax")


def test_two_plugins_may_not_share_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one was meant cannot be known."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "mine", "first:Mine", "one")
    install(tmp_path, "mine", "second:Mine", "other")
    with pytest.raises(ConfigError, match=r"'mine' of other 1\.0 has the name .* of one 1\.0"):
        Methods(OWN).named("softmax")


CONFIGURED = """
from dataclasses import dataclass
from osr_core.methods import CAC
from osr_core.methods.base import MethodConfig

class Mine(CAC):
    name = "mine"
    title = "Mine"

    {decorator}
    class Config{base}:
        alpha: float = 0.5
"""
FROZEN = "@dataclass(frozen=True, kw_only=True)"
TWIN = """
from osr_core.methods import CAC

class {cls}(CAC):
    name = "{name}"
    title = "{title}"
"""


@pytest.mark.parametrize("title", ["CAC", "cac"])
def test_a_plugin_may_not_take_our_title(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subclass that forgets its title would be averaged into the row of what it improves on."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"twin_{title}.py").write_text(TWIN.format(cls="Mine", name="mine", title=title))
    install(tmp_path, "mine", f"twin_{title}:Mine")
    methods = Methods(OWN)
    with pytest.raises(ConfigError, match=rf"its title '{title}' is that of method 'cac'.* own\."):
        methods.named("mine")
    assert methods.named("cac") is OWN["cac"]
    assert list(methods) == list(OWN)


@pytest.mark.parametrize("asked", [("first", "second"), ("second", "first")])
def test_two_plugins_may_not_share_a_title(
    asked: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same one is refused, whichever is asked for first."""
    monkeypatch.syspath_prepend(tmp_path)
    module = f"twins_{asked[0]}"
    pair = [TWIN.format(cls=name.title(), name=name, title="New") for name in asked]
    (tmp_path / f"{module}.py").write_text("".join(pair))
    for name in asked:
        install(tmp_path, name, f"{module}:{name.title()}", name)
    methods = Methods(OWN)
    found = [name for name in asked if name in methods]
    assert found == ["first"]
    with pytest.raises(ConfigError, match="its title 'New' is that of method 'first'"):
        methods.named("second")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemError('no')", "SystemError: no"),
        ("x = 1", "has no attribute 'Mine'"),
        (
            "class Mine: pass",
            "not a subclass of osr_core.methods.ImageMethod, as osr_core.methods.Method is",
        ),
        ("from osr_core.methods import CAC as Mine", "its class calls itself 'cac'"),
        (
            "from osr_core.methods import Method\nclass Mine(Method): name = 'mine'",
            "its class lacks title, source, terms",
        ),
        (
            CONFIGURED.format(decorator=FROZEN, base="(MethodConfig)"),
            "its Config's alpha must be made by osr_core.config.setting, as in alpha: float = ",
        ),
        (CONFIGURED.format(decorator="", base="(MethodConfig)"), "decorated with @dataclass"),
        (CONFIGURED.format(decorator="", base=""), "must be a class below"),
        (CONFIGURED.format(decorator=FROZEN, base=""), "must be a class below"),
    ],
)
def test_a_broken_plugin_disturbs_nobody_but_who_asks_for_it(
    code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in no listing, the others work, and its own error says whose fault it is."""
    monkeypatch.syspath_prepend(tmp_path)
    module = f"broken_{abs(hash(code))}"
    (tmp_path / f"{module}.py").write_text(code)
    install(tmp_path, "mine", f"{module}:Mine")
    methods = Methods(OWN)
    assert list(methods) == list(OWN)
    assert "mine" not in methods
    assert methods.named("softmax") is OWN["softmax"]
    with pytest.raises(ConfigError, match=r"method 'mine' of plugin 1\.0") as caught:
        methods.named("mine")
    assert reason in str(caught.value)
    with pytest.raises(ConfigError) as other:
        methods.named("mines")
    assert "mine" not in str(other.value).replace("mines", "")
    assert str(other.value).endswith("A method of your own must be installed where osr is.")


def test_a_plugin_may_be_imported_first(tmp_path: Path) -> None:
    """It imports this package, which then must not import the half-made plugin."""
    (tmp_path / "osr_cosine.py").write_text(example("python"))
    install(tmp_path, "cosine", "osr_cosine:Cosine")
    code = "import osr_cosine\nfrom osr_core.methods import METHODS\nprint(METHODS['cosine'].title)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    assert done.stdout == "Cosine\n", done.stderr
