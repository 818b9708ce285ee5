"""What a spec may say, for editors (JSON Schema) and for people (`osr methods`).

Both are made from the declarations that check a spec.
"""

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from osr_core.backbones import BACKBONES, resolve_backbone
from osr_core.backbones.from_timm import PREFIX
from osr_core.config import BOUNDS, LARGEST, as_dict
from osr_core.data import BENCHMARKS
from osr_core.data.own import NAMED
from osr_core.methods import METHODS
from osr_core.recipes import Training, common
from sweeps.home import RESERVED, SWEEP_NAME
from sweeps.planning.not_implemented import PLANNED
from sweeps.planning.resources import Budget, Resources
from sweeps.planning.search_block import Options
from sweeps.planning.spec import LARGEST_SEED, SHARED, SweepSpec

BY_RECIPE = "defaults are those of the recipe common; a key without one depends on the dataset"
TYPES = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}


def json_schema() -> dict[str, Any]:
    """JSON Schema of a spec file, with every method's settings, for editors."""
    plain: dict[str, Any] = {}
    for name, info in SweepSpec.model_fields.items():
        plain[name] = {"description": info.description}
    plain["name"] |= {"type": "string", "pattern": SWEEP_NAME, "not": {"enum": list(RESERVED)}}
    plain["protocol"] |= {"type": "string"}
    plain["datasets"] |= {"type": "array", "minItems": 1, "uniqueItems": True}
    listed = {"enum": sorted({*BENCHMARKS, *PLANNED["datasets"]})}
    own = {
        "description": "one's own images: folder:NAME or parquet:NAME, with @SIDE for their size",
        "type": "string",
        "pattern": f"^(?:{NAMED.pattern})$",
    }
    plain["datasets"] |= {"items": {"anyOf": [listed, own]}}
    for name, largest in (("splits", LARGEST), ("seeds", LARGEST_SEED)):
        numbers = {"type": "integer", "minimum": 0, "maximum": largest}
        plain[name] |= {"type": "array", "items": numbers, "minItems": 1, "uniqueItems": True}
    plain["recipe"] |= {"enum": ["common", "published"]}
    plain["training"] |= _training_schema()
    plain["backbone"] |= _backbone_schema()
    for name in ("training", "backbone"):
        plain[name]["description"] += f"; {BY_RECIPE}"
    resources = Resources.model_json_schema()
    definitions = resources.pop("$defs")  # references to it begin at the root
    plain["resources"] |= resources
    plain["budget"] |= Budget.model_json_schema()
    plain["methods"] |= _methods_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "osr-sweeps spec",
        "type": "object",
        "properties": plain,
        "$defs": definitions | _definitions(),
        "required": ["name", "datasets", "splits", "methods"],
        "patternProperties": {f"^{SHARED}": {"description": "blocks that several places share"}},
        "additionalProperties": False,
    }


def _training_schema() -> dict[str, Any]:
    """A fit's optimiser, schedule and augmentation."""
    return _by_recipe(
        _settings_schema(Training),
        [as_dict(common(each).training) for each in BENCHMARKS.values()],
    )


def _backbone_schema() -> dict[str, Any]:
    """The name of a network, and the settings of any."""
    names = {"anyOf": [{"enum": sorted(BACKBONES)}, {"type": "string", "pattern": f"^{PREFIX}."}]}
    name = {"description": f"the network; {PREFIX}NAME is one of timm's", **names}
    properties = {"name": name, **_network_settings()}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    size = {"image_size": None, "channels": None}  # the dataset's own
    networks = [
        resolve_backbone(
            common(each).backbone,
            image_size=each.known.image_size,
            channels=each.known.channels,
        )
        | size
        for each in BENCHMARKS.values()
    ]
    return _by_recipe(schema, networks)


def _network_settings() -> dict[str, Any]:
    """The settings of all networks; what only some have names these in its description."""
    settings: dict[str, Any] = {}
    meanings: dict[str, dict[str, list[str]]] = {}  # by setting and meaning, names of networks
    for name, backbone in BACKBONES.items():
        for key, about in _settings_schema(backbone.Config)["properties"].items():
            first, meaning = settings.setdefault(key, about), about["description"]
            if about["default"] != first["default"]:
                meaning += f", default {json.dumps(about['default'])}"
            meanings.setdefault(key, {}).setdefault(meaning, []).append(name)
    for key, of_networks in meanings.items():
        if [*of_networks.values()] != [[*BACKBONES]]:
            said = (f"{', '.join(names)}: {text}" for text, names in of_networks.items())
            settings[key]["description"] = "; ".join(said)
    return settings


def _by_recipe(schema: dict[str, Any], recipes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A schema with the defaults that a recipe gives, by dataset, in place of a class's own."""
    for key, about in schema["properties"].items():
        given = [recipe[key] for recipe in recipes if key in recipe]
        if "properties" in about:
            _by_recipe(about, given)
        elif len(values := list(dict.fromkeys(map(json.dumps, given)))) == 1:
            about["default"] = json.loads(values[0])
        elif values:
            del about["default"]
            about["description"] += f"; recipe common: one of {', '.join(values)}, by dataset"
    return schema


def _definitions() -> dict[str, Any]:
    """What stands in many places, by the name that `_defined` refers to: a method's settings, and
    what all methods have.
    """
    found = {
        **_in_a_grid({"training": _training_schema(), "backbone": _backbone_schema()}),
        "dimension": _dimension_schema(),
    }
    of_all: dict[str, Any] = {name: _defined(name) for name in ("training", "backbone")}
    of_all |= _in_a_grid({"protocol": {"description": "instead of the spec's", "type": "string"}})
    for name, method in METHODS.items():
        settings = _settings_schema(method.Config)
        own = _in_a_grid(settings["properties"]) | of_all
        found[f"method.{name}"] = settings | {
            "properties": own | {"search": _search_schema(method.Config)}
        }
    return found


def _in_a_grid(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings where each may be a list of values, and a mapping hold such lists.

    A list by its nature stands for itself; in a list of mappings each is one value.
    """
    found: dict[str, Any] = {}
    for name, about in settings.items():
        if about.get("type") == "array":
            found[name] = about
            continue
        said = {key: about[key] for key in ("description", "default") if key in about}
        value = {key: about[key] for key in about if key not in said}
        one = value
        if "properties" in value:
            one = value | {"properties": _in_a_grid(value["properties"])}
        several = {"type": "array", "items": value, "minItems": 1}
        found[name] = {**said, "anyOf": [one, several]}
    return found


def _defined(name: str) -> dict[str, str]:
    """In place of a definition."""
    return {"$ref": f"#/$defs/{quote(name)}"}


def _methods_schema() -> dict[str, Any]:
    """Each method's settings, or a list of them, one row of the table each."""
    methods: dict[str, Any] = {
        name: {"description": f"left out: {why}"} for name, why in PLANNED["methods"].items()
    }
    for name, method in METHODS.items():
        settings = _defined(f"method.{name}")
        one = {"anyOf": [settings, {"type": "null"}]}
        several = {"type": "array", "items": one, "minItems": 1}
        methods[name] = {
            "description": f"{method.title}: {method.source}",
            "anyOf": [settings, several, {"type": "null"}],
        }
    return {
        "type": "object",
        "properties": methods,
        "additionalProperties": False,
        "minProperties": 1,
    }


def _search_schema(config: type[Any]) -> dict[str, Any]:
    """A search over a method's settings, and over those of its training and network."""
    names = [field.name for field in dataclasses.fields(config)]
    names += [f"training.{field.name}" for field in dataclasses.fields(Training)]
    names += [f"backbone.{name}" for name in _network_settings()]
    schema = _settings_schema(Options)
    schema["properties"] |= {
        "space": {
            "description": "settings to ranges or choices",
            "type": "object",
            "properties": dict.fromkeys(names, _defined("dimension")),
            "additionalProperties": False,
            "minProperties": 1,
        },
        "enqueue": {
            "description": "settings to try first; default: the paper's",
            "type": "array",
            "items": {"type": "object"},
        },
        "from": {
            "description": "earlier sweeps whose results are known from the start",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
    }
    return {"description": "instead of a grid", **schema, "required": ["space"]}


def _dimension_schema() -> dict[str, Any]:
    """What a search may do with a setting: choose from a list or a range, perhaps only `when`."""
    number, condition = {"type": "number"}, {"type": "object"}
    span = {"low": number, "high": number, "log": {"type": "boolean"}, "step": number}
    values = {"type": "array", "minItems": 1}
    return {
        "anyOf": [
            values,
            {
                "type": "object",
                "properties": {**span, "when": condition},
                "required": ["low", "high"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"choices": values, "when": condition},
                "required": ["choices"],
                "additionalProperties": False,
            },
        ]
    }


def _settings_schema(config: type[Any]) -> dict[str, Any]:
    """A config's settings."""
    properties: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        hint = typing.get_type_hints(config)[field.name]
        if dataclasses.is_dataclass(hint):
            properties[field.name] = _settings_schema(typing.cast(type[Any], hint))
            continue
        types = [each for each in (hint, *typing.get_args(hint)) if each in TYPES]
        value: dict[str, Any] = {"type": [TYPES[each] for each in types]}
        value |= {"maximum": LARGEST} if int in types else {}
        if choices := field.metadata["choices"]:
            value |= {"enum": [*choices, None] if type(None) in types else [*choices]}
        bounds = {"above": "exclusiveMinimum", "below": "exclusiveMaximum"}
        bounds |= {"at_least": "minimum", "at_most": "maximum"}
        value |= {
            keyword: field.metadata[bound]
            for bound, keyword in bounds.items()
            if field.metadata[bound] is not None
        }
        if typing.get_origin(hint) is tuple:
            value = {"type": "array", "items": value}
        about = {"description": field.metadata["meaning"], "default": field.default}
        properties[field.name] = about | value
    return {"type": "object", "properties": properties, "additionalProperties": False}


def settings_listing(config: type[Any]) -> list[dict[str, Any]]:
    """One row for each setting of a config: its name, default, range and meaning."""
    return [
        {
            "setting": field.name,
            "default": field.default,
            "range": _range(field, typing.get_type_hints(config)[field.name]),
            "meaning": field.metadata["meaning"],
        }
        for field in dataclasses.fields(config)
    ]


def _range(field: dataclasses.Field[Any], hint: Any) -> str:
    """What a setting may be: "one of a, b", "float > 0, <= 1", "true or false"."""
    if field.metadata["choices"]:
        return "one of " + ", ".join(map(str, field.metadata["choices"]))
    if hint is bool:
        return "true or false"
    bounds = [
        f"{BOUNDS[bound][1]} {field.metadata[bound]}"
        for bound in ("above", "at_least", "below", "at_most")
        if field.metadata[bound] is not None
    ]
    return " ".join([getattr(hint, "__name__", str(hint)), ", ".join(bounds)]).strip()
