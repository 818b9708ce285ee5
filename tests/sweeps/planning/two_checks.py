"""A small spec, held against what `osr plan` and editors check by."""

from typing import Any

import jsonschema

from osr_core.errors import ConfigError
from sweeps.planning.json_schema import json_schema
from sweeps.planning.spec import parse_spec

GOOD = {
    "name": "small",
    "protocol": "random",
    "datasets": ["digits"],
    "splits": [0],
    "methods": {"softmax": {}},
}
EDITOR = jsonschema.Draft202012Validator(json_schema())


def is_taken(changed: dict[str, Any]) -> bool:
    """Whether a spec may say so; both agree."""
    by_schema = EDITOR.is_valid(GOOD | changed)
    try:
        parse_spec(GOOD | changed, "spec")
    except ConfigError:
        assert not by_schema
        return False
    assert by_schema, [each.message for each in EDITOR.iter_errors(GOOD | changed)]
    return True
