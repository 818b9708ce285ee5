"""All that wants a GPU, in pieces, on a machine with torch and without Ray: `make gpu`.

    measurements   the benchmarks `training_loop` and `full_card`, each once
    sweeps         the plans in gpu/, from `make gpu-plans` where osr is; results go to gpu/results
    table          of what is done of each plan

Every call ends in time with all saved, and the next goes on: 0 all is done, 5 call it again, else
what `python -m osr_core.batch` has ended with. Nothing is committed. The table is for
docs/results.md; `osr merge gpu/results` at home takes the results themselves.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks import __main__ as benchmarks
from osr_core.batch import __main__ as batch
from osr_core.batch.__main__ import TIME_SPENT
from osr_core.results.commit import Commit
from osr_core.results.layout import marker_of

MEASUREMENTS = ("training_loop", "full_card")
MEASURED_IN_MIN = 4.0  # what each of them takes at most
METRICS = {"ACC": "test/accuracy", "AUROC": "test/auroc", "OSCR": "test/oscr"}
FOLDER = Path("gpu")


def main(given: Sequence[str] | None = None) -> int:
    """As much as fits into the minutes; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="end by then")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the plans")
    asked = parser.parse_args(given)
    ends_at = time.monotonic() + 60 * asked.minutes
    plans = sorted(asked.folder.glob("*.json"))
    if not plans:
        parser.error(
            f"there are no plans in {asked.folder}: `make gpu-plans` where osr is installed"
        )
    code = measured(ends_at) or run(plans, asked.folder / "results", ends_at)
    for plan in plans:
        print("\n".join(table(plan, asked.folder / "results")))
    print("all is done" if code == 0 else "call it again" if code == TIME_SPENT else "")
    return code


def measured(ends_at: float) -> int:
    """Make the measurements that are not there; 5 where there is no time for one."""
    where = "gpu" if torch.cuda.is_available() else "cpu"
    for name in MEASUREMENTS:
        if (benchmarks.RESULTS / f"{name}-{where}.json").exists():
            continue
        if time.monotonic() + 60 * MEASURED_IN_MIN > ends_at:
            return TIME_SPENT
        benchmarks.run([name])
    return 0


def run(plans: Sequence[Path], results: Path, ends_at: float) -> int:
    """Run the plans one after the other; the code of the first that is not done, or 0."""
    for plan in plans:
        minutes = (ends_at - time.monotonic()) / 60
        if minutes <= 0:
            return TIME_SPENT
        print(f"== {plan}", flush=True)
        code = batch.run([str(plan), "--store", str(results), "--minutes", str(minutes)])
        if code:
            return code
    return 0


def table(plan: Path, results: Path) -> Iterator[str]:
    """Lines of Markdown: each method's means over its finished trials, percent."""
    record = json.loads(plan.read_text())["record"]
    done: dict[str, list[Commit]] = defaultdict(list)
    planned: dict[str, int] = defaultdict(int)
    for trial in record["trials"]:
        planned[trial["title"]] += 1
        marker = results / marker_of(trial["trial_id"])
        if marker.exists() and marker.stat().st_size:
            done[trial["title"]].append(Commit.decode(marker.read_bytes()))
    yield f"\n{record['sweep']}, code {record['code']}\n"
    yield f"| method | trials | {' | '.join(METRICS)} |"
    yield f"| --- | --- | {' | '.join('---' for _ in METRICS)} |"
    for title, count in planned.items():
        cells = [_cell([each.metrics[name] for each in done[title]]) for name in METRICS.values()]
        yield f"| {title} | {len(done[title])} of {count} | {' | '.join(cells)} |"


def _cell(values: Sequence[Any]) -> str:
    """Mean and, of several, the sample standard deviation."""
    if not values:
        return ""
    deviation = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{deviation}"


if __name__ == "__main__":
    sys.exit(main())
