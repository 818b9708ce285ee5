"""Which change of the source is a change of which stages."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from osr_core import source
from osr_core.methods import METHODS, OWN
from osr_core.source import Reach, Sources, Start, read_source, source_of
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import parse_spec

Edit = Callable[[str, str], str]  # a module's name and text -> its text
MODULES = "osr_core.methods."


@pytest.fixture(scope="module", autouse=True)
def _each_text_is_parsed_once() -> Iterator[None]:
    """Most of what the tests below read is the same in all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "parse", cache(source.parse))
        yield


@cache
def plan() -> Plan:
    """One trial of every method on digits, whose fits hold out no images."""
    values = {"name": "one", "datasets": ["digits"], "splits": [0]}
    spec = parse_spec({**values, "methods": {name: {} for name in OWN}}, "one")
    return make_plan(spec, {"digits/train": "-", "digits/test": "-"})


def changed_by(edit: Edit, among: Plan | None = None) -> set[str]:
    """The stages whose digest an edit changes: "fit cac", "score mls"."""

    def read(module: str) -> tuple[str, bool] | None:
        found = read_source(module)
        return found and (edit(module, found[0]), found[1])

    edited = Sources(read)
    stages = (among or plan()).stages.values()
    changed = [s for s in stages if edited.of(s.identity) != source_of(s.identity)]
    return {f"{stage.kind} {stage.config['method']['name']}" for stage in changed}


def replacing(module: str, before: str, after: str) -> Edit:
    """Other words in one module."""

    def edit(name: str, text: str) -> str:
        if name != module:
            return text
        assert before in text, f"{module} has no {before}"
        return text.replace(before, after)

    return edit


@pytest.mark.parametrize(
    ("module", "before", "after", "expected"),
    [
        ("cac", "Prediction(-cac_score", "Prediction(cac_score", {"score cac"}),
        ("mls", "return -logits.amax", "return logits.amax", {"score mls"}),
        ("energy", "return -logits", "return logits", {"score energy"}),
        (
            "openmax",
            "unknown - known",
            "unknown + known",
            {"score openmax", "score g_openmax", "score crosr", "gan.generate g_openmax"},
        ),
        (
            "openmax",
            "shifted = (largest",
            "shifted = 2 * (largest",
            {"calibrate openmax", "calibrate g_openmax", "calibrate crosr", "fit crosr"},
        ),
        ("cac", "weight * (anchor if", "-weight * (anchor if", {"fit cac"}),
        ("pmal.quality", "return -median_scaled", "return median_scaled", {"pmal.mine pmal"}),
    ],
)
def test_a_sign_changes_the_stages_that_compute_with_it(
    module: str, before: str, after: str, expected: set[str]
) -> None:
    """A score's sign is no concern of a fit that holds out no images, nor of another method."""
    assert changed_by(replacing(MODULES + module, before, after)) == expected


def test_a_fit_that_chooses_its_epoch_rests_on_predictions_too() -> None:
    """The accuracy on held-out images comes from them."""
    values = {"name": "one", "datasets": ["digits"], "splits": [0], "methods": {"cac": {}}}
    spec = parse_spec({**values, "training": {"validation": 0.1}}, "one")
    held_out = make_plan(spec, plan().fingerprints)
    edit = replacing(f"{MODULES}cac", "Prediction(-cac_score", "Prediction(cac_score")
    assert changed_by(edit, held_out) == {"fit cac", "score cac"}


def test_the_loop_counts_for_every_fit_and_for_nothing_else() -> None:
    """It knows no method by name, and no method's module imports it."""
    changed = changed_by(replacing("osr_core.training", "floor = 1e-3", "floor = 1e-2"))
    fits = {s.config["method"]["name"] for s in plan().stages.values() if s.kind.trains}
    assert changed == {f"fit {name}" for name in fits}


def test_a_recipe_changes_no_stage_but_by_its_id() -> None:
    """What it says stands in the stages' configs."""
    edit = replacing("osr_core.recipes", "crop_padding=4, flip=known", "crop_padding=3, flip=known")
    assert changed_by(edit) == set()


@pytest.mark.parametrize(
    "module",
    [
        "osr_core.data.svhn",
        "osr_core.data.cifar",
        "osr_core.backbones.wrn",
        "osr_core.data.inventory",
        "osr_core.trial",
    ],
)
def test_a_file_that_no_stage_uses_changes_none(module: str) -> None:
    """Other readers and networks; what makes plans, whose outcome is in the stages' ids."""
    assert changed_by(lambda name, text: "broken = (" if name == module else text) == set()


def test_what_nothing_refers_to_changes_nothing() -> None:
    """A new function in every file there is."""
    assert changed_by(lambda name, text: f"{text}\n\ndef unused():\n    return 1\n") == set()


@pytest.mark.parametrize(
    ("module", "before", "after"),
    [
        ("osr_core.training", "# of", "# not of"),
        ("osr_core.training", '"""Go back to the weights kept, if any."""', '"""Other words."""'),
        ("osr_core.training", '"""The one training loop', '"""Another loop'),
        ("osr_core.training", "Lower the learning rate ", "Try again "),
        (f"{MODULES}cac", "lambda (paper: 0.1)", "the weight"),
        (f"{MODULES}cac", 'title = "CAC"', 'title = "C A C"'),
        (
            f"{MODULES}cac",
            "tuplet, anchor = cac_terms(anchor",
            "tuplet, anchor = cac_terms(\n anchor",
        ),
    ],
)
def test_words_change_nothing(module: str, before: str, after: str) -> None:
    """Comments, docstrings, errors, meanings of settings, a row's name, line breaks."""
    text = read_source(module)
    assert text is not None
    edit = replacing(module, before, after)
    if before.startswith("#"):
        edit = lambda name, text: text.replace("#", "# not") if name == module else text  # noqa: E731
    assert changed_by(edit) == set()


def test_a_plugins_source_counts_with_what_it_imports_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version may be forgotten like one of ours."""
    package = tmp_path / "osr_far"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "distance.py").write_text("def far(logits):\n    return -logits.amax(1)\n")
    (package / "method.py").write_text(
        "from osr_core.methods import Softmax\nfrom .distance import far\n\n\n"
        "class Far(Softmax):\n    name = 'far'\n\n    @classmethod\n    def recipe(cls, trial):\n"
        "        return trial.fit(Softmax)\n\n"
        "    def unknown_score(self, logits):\n        return far(logits)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from osr_far.method import Far  # type: ignore[import-not-found]

    monkeypatch.setitem(METHODS.own, "far", Far)
    values = {"name": "one", "datasets": ["digits"], "splits": [0], "methods": {"far": {}}}
    its_own = make_plan(parse_spec(values, "one"), plan().fingerprints)
    edit = replacing("osr_far.distance", "return -logits", "return logits")
    assert changed_by(edit, its_own) == {"score far"}


def test_a_file_that_changes_under_a_running_process_changes_nothing_there() -> None:
    """A worker goes on with what it has imported; its next result must not pass for the new one."""
    edits: list[Edit] = []

    def read(module: str) -> tuple[str, bool] | None:
        found = read_source(module)
        return found and (edits[0](module, found[0]) if edits else found[0], found[1])

    stages = {f"{s.kind} {s.config['method']['name']}": s for s in plan().stages.values()}
    score, running = stages["score cac"], Sources(read)
    running.of(stages["fit softmax"].identity)  # what this worker was given first
    edits.append(replacing(f"{MODULES}cac", "Prediction(-cac_score", "Prediction(cac_score"))
    assert running.of(score.identity) == source_of(score.identity)
    assert Sources(read).of(score.identity) != source_of(score.identity)


def test_what_has_no_source_has_no_digest() -> None:
    """As a method made of another language; it is not known then, rather than changed."""
    sources = Sources(lambda module: None if module == f"{MODULES}cac" else read_source(module))
    digests = {
        stage.config["method"]["name"]: sources.of(stage.identity)
        for stage in plan().stages.values()
        if stage.kind.name == "score"
    }
    assert [name for name, found in digests.items() if not found] == ["cac"]


# -- how names are followed -----------------------------------------------------------------------


def reached(root: str, **modules: str) -> set[str]:
    """What is reached from a definition of osr_core.a, of modules given by their text."""
    texts = {"osr_core": "", **{f"osr_core.{name}": text for name, text in modules.items()}}

    def read(module: str) -> tuple[str, bool] | None:
        return (texts[module], module == "osr_core") if module in texts else None

    reach = Reach(Sources(read), Start((("osr_core.a", root),)))
    assert reach.digest()
    return {f"{m.removeprefix('osr_core.')}.{name}" for m, name in reach.found if name.strip(".")}


OTHERS = "def f(): return g()\ndef g(): return LIMIT\ndef h(): return 1\nLIMIT = 3\n"


@pytest.mark.parametrize(
    "text",
    [
        "from osr_core.b import f\ndef root(): return f()",
        "from osr_core.b import f as other\ndef root(): return other()",
        "from osr_core import b\ndef root(): return b.f()",
        "import osr_core.b\ndef root(): return osr_core.b.f()",
        "import osr_core.b as c\ndef root(): return c.f()",
        "from .b import f\ndef root(): return f()",
        "def root():\n    from osr_core.b import f\n    return f()",
        "from osr_core.c import f\ndef root(): return f()",
    ],
)
def test_a_name_is_followed_however_it_is_imported(text: str) -> None:
    """Under another name, by its module, relatively, inside a function, by way of a third."""
    found = reached("root", a=text, b=OTHERS, c="from osr_core.b import f")
    assert found == {"a.root", "b.f", "b.g", "b.LIMIT"}


def test_a_member_is_that_of_the_nearest_class_that_has_it() -> None:
    """One that is overridden counts only where the override passes on to it."""
    base = "class Base:\n    def run(self): return 1\n    def end(self): return 2\n"
    base += "    def rest(self): return 3\n    def other(self): return 4\n"
    text = "from osr_core.b import Base\nclass Own(Base):\n    def run(self): return 5\n"
    text += "    def end(self): return super().end()\n"
    text += "def root():\n    own = Own()\n    return own.run(), own.end(), own.rest()\n"
    expected = {
        "a.root",
        "a.Own.",
        "b.Base.",
        "a.Own.run",
        "a.Own.end",
        "b.Base.end",
        "b.Base.rest",
    }
    assert reached("root", a=text, b=base) == expected


def test_a_definition_that_depends_on_a_condition_is_one_all_the_same() -> None:
    """Both ways of it."""
    text = "try:\n    from fast import f\nexcept ImportError:\n    def f(): return LIMIT\n"
    text += "LIMIT = 1\ndef root(): return f()"
    assert reached("root", a=text) == {"a.root", "a.f", "a.LIMIT"}


def digest_of(text: str) -> str:
    """Of what is reached from `root`."""
    read = {"osr_core": ("", True), "osr_core.a": (text, False)}.get
    return Reach(Sources(read), Start((("osr_core.a", "root"),))).digest()


def test_the_order_of_fields_counts_and_that_of_functions_does_not() -> None:
    """An object may be made of its fields by their places."""
    root = "def root(): p = P(1, 2); return p.x, p.y\n"
    fields = "class P(NamedTuple):\n    x: int\n    y: int\n"
    swapped = "class P(NamedTuple):\n    y: int\n    x: int\n"
    assert digest_of(fields + root) == digest_of(root + fields)
    assert digest_of(fields + root) != digest_of(swapped + root)


@pytest.mark.parametrize("other", ["T = {}\nT[1] = 3", "T = {}\nT[1] = 2\nT.update(a=1)"])
def test_what_a_module_does_to_a_value_when_it_is_imported_counts(other: str) -> None:
    """Such as filling a table."""
    root = "\ndef root(): return T"
    assert digest_of("T = {}\nT[1] = 2" + root) != digest_of(other + root)
