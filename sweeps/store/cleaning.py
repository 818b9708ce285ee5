"""What in a store may go: what no sweep needs and nobody can be working on."""

import time
from collections import defaultdict
from collections.abc import Collection

from sweeps.store.layout import stage_of
from sweeps.store.leases import LeaseHeldError, held
from sweeps.store.store import Store
from sweeps.store.witness import Witness

DAY_S = 24 * 3600.0
# How deep in its folder lies what stands for one stage.
DEPTHS = {"stages": 3, "work": 2, "retries": 2, "failures": 2, "logs": 2, "damaged": 2, "claims": 2}
# Small and few; only what broken writes left there may go.
NOTES = ("sweeps", "grown", "leases", "orders")


def check_idle(store: Store) -> dict[str, int]:
    """Refuse to clean up beside a driver, which may be using what no sweep to keep needs.

    Returns the number of the latest driver of each sweep, all of them dead.

    Raises:
        LeaseHeldError: a living driver holds one of the store's sweeps.
    """
    latest = {sweep: store.leases.latest(sweep) for sweep in store.leases.sweeps()}
    living = Witness(store.leases).find_living(latest)
    if living is not None and (holder := latest[living][1]) is not None:
        raise LeaseHeldError(
            f"{held(living, holder)}, and may be using what would be deleted. Wait for it or "
            "stop it, then try again."
        )
    return {sweep: number for sweep, (number, _) in latest.items()}


def unneeded(store: Store, needed: Collection[str]) -> dict[str, int]:
    """Bytes by folder or file of what belongs to none of the stages `needed`: results, checkpoints,
    failures, logs; and of results set aside and what broken writes left.

    What is not committed and younger than a day is left out: a worker that has lost its driver, or
    one of a sweep that has just begun, may be writing it.
    """
    sizes: dict[str, int] = defaultdict(int)
    written: dict[str, float] = defaultdict(float)
    results: set[str] = set()
    awaited = store.to_make_again(needed)  # the damaged result is the only note of that
    for top, depth in DEPTHS.items():
        for file in store.files(top):
            parts = file.name.split("/")
            stage_id = stage_of(file.name)
            is_needed = stage_id in needed and (top != "damaged" or stage_id in awaited)
            if is_needed and not file.is_temporary:
                continue
            name = file.name if is_needed else "/".join(parts[:depth])
            sizes[name] += file.bytes
            written[name] = max(written[name], file.written_at)
            if parts[-1] == "commit.json":
                results.add(name)
    for top in NOTES:
        for file in store.files(top):
            if file.is_temporary:
                sizes[file.name], written[file.name] = file.bytes, file.written_at
    latest = time.time() - DAY_S
    return {n: size for n, size in sizes.items() if n in results or written[n] < latest}
