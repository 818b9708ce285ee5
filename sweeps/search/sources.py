"""Earlier sweeps whose searches are known to a new one from the start (`from`)."""

from collections.abc import Mapping
from typing import Any

from osr_core.errors import ConfigError, unknown_name
from sweeps.planning.search_block import Search
from sweeps.store.store import Store


def source_records(search: Search, store: Store) -> list[Mapping[str, Any]]:
    """The records of the sweeps that a search's block names.

    Raises:
        ConfigError: each sweep that the store does not have.
    """
    found = {name: store.sweep(name) for name in search.sources}
    if absent := [name for name, record in found.items() if record is None]:
        there = store.sweeps()
        raise ConfigError(
            f"search of {search.method}: from: {unknown_name('sweep', name, there)}"
            for name in absent
        )
    return [record for record in found.values() if record is not None]
