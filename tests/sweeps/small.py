"""A stage of a few bytes and a sweep of a few stages, for tests of the store."""

from osr_core.results.commit import Commit
from sweeps.store.store import Store

ID = "3f" + "0" * 30
IDENTITY = {"kind": "score", "config": {}, "inputs": {}, "version": 1}
SPEC = {
    "name": "bucket",
    "datasets": ["digits"],
    "splits": [0],
    "backbone": {"width": 0.125},
    "training": {"epochs": 1, "batch_size": 32, "warmup_epochs": 0},
    "methods": {"softmax": {}, "openmax": {}},
}


def leave(store: Store, content: bytes = b"weights") -> Commit:
    """Commit it."""
    artifacts = {"a.bin": content, "b.bin": b"more"}
    return store.commit(
        ID, IDENTITY, artifacts, {"x": 0.5}, started_at=1.0, wall_s=1.0, host="here"
    )
