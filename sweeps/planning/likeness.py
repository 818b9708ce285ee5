"""Which stages are alike: what one took says what another will. Pure."""

from collections.abc import Mapping
from typing import Any

from osr_core.identity import canonical_json

Group = tuple[str, ...]


def likeness(kind: str, config: Mapping[str, Any]) -> Group:
    """Equal for stages that take about as long for each unit of effort."""
    data = [config.get("task", {}).get("dataset")]
    data += [config.get("test", {}).get(name) for name in ("known_from", "unknown_from")]
    network = config.get("backbone", {})
    return kind, config["method"]["name"], canonical_json(data), canonical_json(network)


def sort_of(kind: str, config: Mapping[str, Any]) -> Group:
    """Equal for fits that take about as much of a GPU, in memory as in time.

    Besides what makes them alike these are the size of their batches, and the update rule, whose
    state may be as large as the network.
    """
    training = config.get("training", {})
    taken = [str(training.get(name)) for name in ("batch_size", "optimizer")]
    return (*likeness(kind, config), *taken)
