"""A store is told from all others by an id that it keeps."""

import re
import threading
from pathlib import Path

from sweeps.store.store import Store


def test_a_store_has_one_id_whoever_asks_first(tmp_path: Path):
    """Twenty drivers ask at once for that of a store that has none."""
    assert Store(tmp_path).id is None
    start, given = threading.Barrier(20), []

    def ask() -> None:
        store = Store(tmp_path)
        start.wait()
        given.append(store.identify())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(given) == {Store(tmp_path).id}
    assert re.fullmatch(r"[0-9a-f]{32}", given[0])


def test_two_stores_have_two_ids(tmp_path: Path):
    """Also where one is made after the other was deleted."""
    assert Store(tmp_path / "a").identify() != Store(tmp_path / "b").identify()
