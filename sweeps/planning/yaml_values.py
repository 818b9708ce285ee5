"""A YAML file as plain values, by the rules of YAML 1.2 that people expect.

    1e-3, 2E5          numbers (YAML 1.1, which PyYAML reads, wants 1.0e-3)
    010, 0o10          ten, and eight (1.1: eight, and a text)
    1:30, 1_000, yes, 2024-01-31   texts, which a setting that is none refuses by name (1.1: 90,
                       1000, true and a date, in silence)
    &base, *base, <<: *base        shared blocks, also merged into a mapping

What no spec can mean is refused with its line: a key given twice, a value within itself, more
values than memory holds, a text that no file or database can hold.

Source: YAML 1.2.2, section 10.3 (the core schema).
"""

import re
from pathlib import Path
from typing import Any

import yaml

from osr_core.errors import ConfigError

MOST_VALUES = 100_000  # of a file, each as often as aliases repeat it
LONGEST_NUMBER = 400  # characters; the largest double has 309 digits
CORE = {  # the tags that texts without quotes may get, by what they look like and how they begin
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": ("<<", ["<"]),
}
TAG = "tag:yaml.org,2002:"


def read_yaml(path: Path) -> Any:
    """The values of a file.

    Raises:
        ConfigError: it cannot be read, or is not such YAML; says where.
    """
    try:
        return yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"spec file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter of characters that are none
        raise ConfigError(f"{path} is not valid YAML: {_said(error)}.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply.") from None


def _said(error: Exception) -> str:
    """What a parser raised, in one line, with the place."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        if error.problem == "but found another document":
            return f"a second document begins at line {mark.line + 1}; give each a file of its own"
        return f"{error.problem} at line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, yaml.reader.ReaderError | UnicodeError):
        return f"it is not in UTF-8, or holds a character that is none: {error}".replace("\n", " ")
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """PyYAML with the core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's)

    def get_single_node(self) -> yaml.Node | None:
        """The document, once it is known that it ends."""
        node = super().get_single_node()
        if node is not None:
            _check_tree(node)
        return node

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        """Ten is 10, 010, 0o12 or 0xa."""
        text = _short(node)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base)

    def construct_core_float(self, node: yaml.ScalarNode) -> float:
        """As Python writes it, infinity as .inf."""
        return float(_short(node).lower().replace(".inf", "inf").replace(".nan", "nan"))

    def construct_core_str(self, node: yaml.ScalarNode) -> str:
        """A text that can be printed, kept and be part of a path."""
        if re.search("[\0\ud800-\udfff]", node.value):
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"the text at line {line} holds a character that is none")
        return str(node.value)


def _short(node: yaml.ScalarNode) -> str:
    """The text of a number that some setting could have."""
    if len(node.value) > LONGEST_NUMBER:
        line = node.start_mark.line + 1
        raise yaml.YAMLError(f"the number at line {line} has {len(node.value)} characters")
    return str(node.value)


def _check_tree(root: yaml.Node) -> None:
    """Refuse what PyYAML would build and nothing could read."""
    counts: dict[int, int] = {}  # by node, how many values it stands for; 0 while it is looked at

    def count(node: yaml.Node) -> int:
        known = counts.get(id(node))
        line = node.start_mark.line + 1
        if known == 0:
            raise yaml.YAMLError(f"the value at line {line} contains itself")
        if known is not None:
            return known
        _check_tag(node)
        counts[id(node)] = 0
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        nodes = [each for pair in inner for each in (pair if isinstance(pair, tuple) else (pair,))]
        counts[id(node)] = found = 1 + sum(count(each) for each in nodes)
        if found > MOST_VALUES:
            raise yaml.YAMLError(f"line {line}: aliases make more than {MOST_VALUES} values of it")
        return found

    count(root)


def _check_tag(node: yaml.Node) -> None:
    """A value is what its tag says, which a file may give to any: !!str {a: 1}, !!bool x."""
    name = node.tag.removeprefix(TAG)
    if isinstance(node, yaml.ScalarNode):
        what = f"'{node.value}'"
        fits = name == "str" or (name in CORE and re.fullmatch(CORE[name][0], node.value))
    elif isinstance(node, yaml.SequenceNode):
        what, fits = "a sequence", name == "seq"
    else:
        what, fits = "a mapping", name == "map"
    if not fits:
        line = node.start_mark.line + 1
        raise yaml.YAMLError(f"line {line}: the tag {node.tag} has no meaning for {what} in a spec")


def _check_keys(node: yaml.MappingNode) -> None:
    """Of a key that stands twice, the first value would be lost."""
    names = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    for name in names:
        if names.count(name) > 1:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"key '{name[1]}' stands twice in the mapping at line {line}")


for name, (form, first) in CORE.items():
    _Loader.add_implicit_resolver(f"{TAG}{name}", re.compile(f"(?:{form})$"), first)
_Loader.add_constructor(f"{TAG}int", _Loader.construct_core_int)
_Loader.add_constructor(f"{TAG}float", _Loader.construct_core_float)
_Loader.add_constructor(f"{TAG}str", _Loader.construct_core_str)
