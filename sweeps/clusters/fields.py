"""Values of a file against a list of fields; each problem is a sentence with its place.

The lists are JSON Schemas. Those of Amazon, Google and KubeRay, and Slurm's options, lie in
`fields/`, and each says where it comes from; Ray's own comes with Ray.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from osr_core.errors import unknown_name

LIKENESS = 0.5  # of names that are near: fields are long
TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text (quote it)",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def packaged(name: str) -> dict[str, Any]:
    """One of the lists in `fields/`."""
    text = (files("sweeps.clusters") / "fields" / f"{name}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def problems(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """What of a value no field allows, in the order of the file's levels."""
    if odd := list(_odd_keys(value)):
        return odd
    errors = list(Draft202012Validator(schema).iter_errors(value))
    errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
    return list(dict.fromkeys(text for error in errors for text in _sentences(error)))


def has_shape(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether mappings, lists and numbers stand where they should, so that they can be read."""
    if any(_odd_keys(value)):
        return False
    errors = Draft202012Validator(schema).iter_errors(value)
    return not any(error.validator in ("type", "required") for error in errors)


def unknown(what: str, name: object, allowed: Iterable[str]) -> str:
    """A sentence for a name that does not exist: the nearest right one, and what exists."""
    return unknown_name(what, name, allowed, likeness=LIKENESS)


def _odd_keys(value: Any) -> Iterator[str]:
    """Keys that are no texts, which no field is."""
    if isinstance(value, dict):
        yield from (f"the key {key!r} must be a text." for key in value if type(key) is not str)
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _odd_keys(inner)


def _sentences(error: ValidationError) -> Iterator[str]:
    """What is wrong at one place."""
    place, value, rule = _place(error), error.instance, error.validator_value
    at = f"{place}: " if place else ""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in value:
            if name not in known:
                yield f"{at}{unknown('the field', name, known)}"
    elif error.validator == "required":
        yield from (f"{at}the field '{name}' is missing." for name in rule if name not in value)
    elif error.validator == "enum":
        yield f"{at}{unknown('the value', value, map(str, rule))}"
    elif error.validator == "type":
        wanted = [rule] if isinstance(rule, str) else rule
        yield f"{place} must be {' or '.join(TYPES[each] for each in wanted)}, not {value!r}."
    elif error.validator == "minimum":
        yield f"{place} must be at least {rule}, not {value!r}."
    else:
        yield f"{at}{error.message}."


def _place(error: ValidationError) -> str:
    """Such as available_node_types.gpu.labels or containers[0]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return "".join(parts).removeprefix(".")
