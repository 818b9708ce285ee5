"""Reference of a spec's keys, from the JSON Schema that `osr schema` prints."""

import json
from collections.abc import Iterator
from typing import Any

from tables import table

from osr_core.config import LARGEST
from osr_core.methods import OWN
from sweeps.planning.json_schema import json_schema, settings_listing
from sweeps.planning.search_block import Options
from sweeps.planning.spec import SweepSpec

OPENING = """\
# Keys of a spec

A spec is a YAML file. `osr schema` prints all of this as a JSON Schema, by which an editor
completes and checks.
What a key may be is checked in full before anything runs.
A list of values for a setting of a method is a grid: one row of the table for each.

"""
SECTIONS = ("training", "backbone", "resources", "budget")
BOUNDS = {  # those of LARGEST and above only say what a number holds, and are left out
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
HEADING = ("key", "may be", "default", "meaning")


def page() -> str:
    """Every key with what it may be, its default and its meaning."""
    schema = json_schema()
    rows = [
        (f"`{name}`", allowed(about), default_of(name), meaning(about))
        for name, about in schema["properties"].items()
    ]
    parts = [OPENING, table(HEADING, rows)]
    for section in SECTIONS:
        about = schema["properties"][section]
        parts += [f"\n## `{section}`\n\n{sentence(meaning(about))}\n", table(HEADING, keys(about))]
    parts += ["\n## `search` of a method\n\nSee [Search](../search.md). "]
    parts += ["Beside `space`, `enqueue` and `from`:\n\n"]
    parts += [settings(Options), "\n## `methods`\n\n"]
    parts += ["[Methods](../methods.md) says what each one is.\n"]
    for name, method in OWN.items():
        parts += [f"\n### `{name}`\n\n{method.title}: {method.source}\n\n"]
        parts += [settings(method.Config)]
    return "".join(parts)


def default_of(key: str) -> str:
    """What stands for a key that a spec leaves out, where that is a value and not a block."""
    field = SweepSpec.model_fields[key]
    if field.is_required():
        return "required"
    return f"`{json.dumps(field.default)}`" if isinstance(field.default, str | list) else ""


def keys(about: dict[str, Any], before: str = "") -> Iterator[tuple[str, str, str, str]]:
    """A row for each key of a block, and for those of the blocks in it."""
    for name, inner in about["properties"].items():
        if "properties" in inner:
            yield from keys(inner, f"{before}{name}.")
        else:
            default = f"`{json.dumps(inner['default'])}`" if "default" in inner else ""
            yield f"`{before}{name}`", allowed(inner), default, meaning(inner)


def settings(config: type[Any]) -> str:
    """The table of `osr methods NAME`."""
    rows = [
        (f"`{row['setting']}`", row["range"], f"`{json.dumps(row['default'])}`", row["meaning"])
        for row in settings_listing(config)
    ]
    return table(HEADING, rows) if rows else "No settings.\n"


def meaning(about: dict[str, Any]) -> str:
    """What the schema says of a key."""
    return str(about.get("description") or "")


def sentence(text: str) -> str:
    """A description as a sentence of its own."""
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."


def allowed(about: dict[str, Any]) -> str:
    """What a key may be, in words."""
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(allowed(each) for each in about["anyOf"]))
    if "enum" in about:
        return "one of " + ", ".join(f"`{value}`" for value in about["enum"])
    if "items" in about:
        return f"list; each {allowed(about['items'])}"
    if "$ref" in about or "properties" in about or about.get("type") == "object":
        return "block"
    kinds = about.get("type", "any")
    text = kinds if isinstance(kinds, str) else " or ".join(kinds)
    said = {word: about[key] for key, word in BOUNDS.items() if key in about}
    bounds = [f"{word} {bound}" for word, bound in said.items() if bound < LARGEST]
    return ", ".join([text, *bounds])
