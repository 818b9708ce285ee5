"""Identity by content: canonical JSON, digests, and seeds derived from what a thing is."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text on every machine.

    Raises:
        ValueError: a NaN or infinity, which JSON cannot hold.
    """
    return _ENCODER.encode(value)


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by their places: {"training": {"lr": 0.1}} gives ("training.lr", 0.1)."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def digest(value: Any) -> str:
    """32 hexadecimal digits that stand for a JSON value."""
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=16).hexdigest()


def seed_for(*identity: Any) -> int:
    """A seed in [0, 2**63) drawn from what it is for, never from a counter."""
    content = canonical_json(identity).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1


def upstream(ids: Iterable[str], inputs: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The ids of some stages and of all that they are made from, each once; `inputs` by stage id,
    those that are not known have none.
    """
    todo, seen = list(ids), set()
    while todo:
        stage_id = todo.pop()
        if stage_id not in seen:
            seen.add(stage_id)
            todo += inputs.get(stage_id, ())
            yield stage_id
