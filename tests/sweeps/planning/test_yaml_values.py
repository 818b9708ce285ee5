"""A spec's YAML means what people write in it, or is refused with a sentence."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osr_core.errors import ConfigError
from sweeps.planning.spec import load_spec, parse_spec
from sweeps.planning.yaml_values import read_yaml

GOOD = "name: small\ndatasets: [digits]\nsplits: [0]\nmethods: {softmax: {}}\n"

FORMED = {"name": "small", "datasets": ["digits"], "splits": [0], "methods": {"softmax": {}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the file."""
    return tmp_path / "spec.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("2E5", 200000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("yes", "yes"),
        ("off", "off"),
        ("True", True),
        ("~", None),
        ("", None),
        ("2024-01-31", "2024-01-31"),
        ("=", "="),
        ("!!float 1", 1.0),
        ("1.e+2", 100.0),
    ],
)
def test_plain_words_are_read_as_in_yaml_1_2(path: Path, text: str, value: object):
    """PyYAML itself reads a text, 8, 90, 1000, true and a date for some of them, in silence."""
    path.write_text(f"key: {text}\n")
    found = read_yaml(path)["key"]
    assert (found, type(found)) == (value, type(value))


def test_a_learning_rate_may_be_written_with_an_exponent(path: Path):
    """As every paper and Python write it."""
    path.write_text(GOOD + "training: {lr: 1e-3}\n")
    assert load_spec(str(path)).training == {"lr": 0.001}


def test_shared_blocks_are_merged_and_overridden(path: Path):
    """By anchors and merge keys, also of what is merged itself; own keys come first."""
    path.write_text(
        "x-blocks:\n"
        "  short: &short {epochs: 3, batch_size: 32}\n"
        "  shorter: &shorter {<<: *short, epochs: 2}\n"
        "name: small\ndatasets: [digits]\nsplits: [0]\nmethods:\n"
        "  softmax: {training: *short}\n"
        "  cac: {training: {<<: *shorter, batch_size: 16}}\n"
        "  mls: {training: {<<: [*shorter, *short]}}\n"
    )
    methods = load_spec(str(path)).methods
    assert [methods[name][0].training for name in ("softmax", "cac", "mls")] == [
        {"epochs": 3, "batch_size": 32},
        {"epochs": 2, "batch_size": 16},
        {"epochs": 2, "batch_size": 32},
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [*a]", "contains itself"),
        ("a: &a {b: {<<: *a}}", "contains itself"),
        ("a: {b: 1, b: 2}", "key 'b' stands twice in the mapping at line 1"),
        ("<<: {a: 1}\n<<: {a: 2}", "key '<<' stands twice"),
        ("<<: 5", "expected a mapping or list of mappings for merging"),
        ("a: *b", "found undefined alias 'b' at line 1, column 4"),
        ("a: 0x" + 5000 * "f", "the number at line 1 has 5002 characters"),
        ("a: 1" + 5000 * "0" + ".5", "the number at line 1 has 5003 characters"),
        ("a: !!python/object:os.system {}", "has no meaning for a mapping in a spec"),
        ("a: !!set {b}", "has no meaning for a mapping"),
        ("a: !!binary aGFsbG8=", "has no meaning for 'aGFsbG8='"),
        ("a: !!int x", "the tag tag:yaml.org,2002:int has no meaning for 'x'"),
        ("a: !!bool x", "no meaning for 'x'"),
        ("a: !!null x", "no meaning for 'x'"),
        ("a: !!str {}", "no meaning for a mapping"),
        ("a: !!int []", "no meaning for a sequence"),
        ("a: !!map []", "no meaning for a sequence"),
        ("a: !!seq x", "no meaning for 'x'"),
        ("!!str {a: 1}: 1", "no meaning for a mapping"),
        ('a: "\\ud800"', "holds a character that is none"),
        ('a: "b\\0"', "holds a character that is none"),
        ("a: 1\n---\na: 2", "a second document begins at line 2; give"),
        ("\ta: 1", "cannot start any token"),
        ("{[a]: 1}", "unhashable key"),
        ("a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
            f"{name}: &{name} [{', '.join(9 * [f'*{before}'])}]\n"
            for before, name in zip("abcdef", "bcdefg", strict=True)
        ), "aliases make more than 100000 values"),
    ],
)  # fmt: skip
def test_what_no_spec_can_mean_is_refused_in_one_line(path: Path, text: str, words: str):
    """Whatever the parser raises; nothing is taken in silence."""
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_spec(str(path))
    (sentence,) = refused.value.problems
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_any_editor_is_read(path: Path, encoding: str):
    """Some put a mark at the beginning."""
    path.write_text(GOOD, encoding=encoding)
    assert load_spec(str(path)).name == "small"


def test_a_file_of_no_encoding_is_refused(path: Path):
    """Such as one in Latin-1."""
    path.write_bytes(GOOD.replace("small", "größe").encode("latin-1"))
    with pytest.raises(ConfigError, match="is not valid YAML: it is not in UTF-8"):
        load_spec(str(path))


PIECES = """
1e-3 010 1:30 ~ yes 0 -1 9223372036854775808 .nan .inf 1_0 digits softmax cac name datasets
splits seeds methods training backbone resources x-a epochs lr cpus &a *a &b *b <<: !!str !!int
!!set ! | > ? - : , [ ] { } # % @ ` ' " \\ \\ud800 --- ... ü"""
WORDS = st.sampled_from([*PIECES.split(), "\0", "\ufeff", "\t", " \n", "\n  "])
TEXTS = st.lists(WORDS, max_size=30).map(" ".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
KEYS = ("name", "protocol", "datasets", "splits", "seeds", "recipe", "training", "backbone")
SPECS = st.dictionaries(st.sampled_from((*KEYS, "methods", "resources")), VALUES)


def answers(path: Path, text: str, values: dict[str, object]) -> list[str]:
    """What is said of a good spec with `text` below it, and of one with other `values`."""
    path.write_text(GOOD + text)
    said: list[str] = []
    for load in (lambda: load_spec(str(path)), lambda: parse_spec(FORMED | values, "spec")):
        try:
            load()
        except ConfigError as error:
            said += error.problems
    return said


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(text=TEXTS, values=SPECS)
def test_no_text_and_no_values_end_in_a_traceback(path: Path, text: str, values: dict[str, object]):
    """Words of YAML in any order, and a spec's keys with values of any form."""
    assert all(sentence.strip() for sentence in answers(path, text, values))


@pytest.mark.faults
@pytest.mark.timeout(1200)
@settings(max_examples=20_000, deadline=None, suppress_health_check=[*HealthCheck])
@given(text=TEXTS, values=SPECS)
def test_nor_do_thousands_of_them(path: Path, text: str, values: dict[str, object]):
    """The same for minutes."""
    assert all(sentence.strip() for sentence in answers(path, text, values))
