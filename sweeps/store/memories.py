"""What searches have asked and were told, by the search's id and the candidate's number.

    searches/3f9a..../asked-000012.json   the settings of candidate 12
    searches/3f9a..../told-000012.json    how it went: {"state", "values", "reason"}
    searches/3f9a..../before.json         what it knew from earlier sweeps when it began

Each is made once: a search that goes on, anywhere, goes on from the same history.
"""

import json
from collections.abc import Callable
from typing import Any

from sweeps.store.files import Files, at_once


class Memories:
    """Reads and writes the history of searches."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def ask(self, search_id: str, number: int, params: Any) -> Any:
        """Keep a candidate's settings; those that are kept already, if there are some."""
        return self._keep(f"searches/{search_id}/asked-{number:06}.json", params)

    def tell(self, search_id: str, number: int, told: Any) -> Any:
        """Keep how a candidate went, as `ask`."""
        return self._keep(f"searches/{search_id}/told-{number:06}.json", told)

    def begin(self, search_id: str, known: Callable[[], Any]) -> Any:
        """What a search knew from earlier sweeps when it began; where it begins now, `known()`."""
        name = f"searches/{search_id}/before.json"
        found = self._files.load(name)
        return self._keep(name, known()) if found is None else found

    def forget(self, search_id: str) -> None:
        """Begin a search anew: what it was told has been withdrawn."""
        self._files.delete_all(f"searches/{search_id}")

    def history(self, search_id: str) -> tuple[dict[int, Any], dict[int, Any]]:
        """By number, what was asked and what was told."""
        asked: dict[int, Any] = {}
        told: dict[int, Any] = {}
        listed = self._files.names(f"searches/{search_id}", ".json")
        names = [name for name in listed if "-" in name.rpartition("/")[2]]
        for name, content in zip(names, at_once(self._files.load, names), strict=True):
            kind, _, number = name.rpartition("/")[2].removesuffix(".json").partition("-")
            (asked if kind == "asked" else told)[int(number)] = content
        return asked, told

    def _keep(self, name: str, content: Any) -> Any:
        if self._files.create(name, json.dumps(content).encode()):
            return content
        return self._files.load(name)
