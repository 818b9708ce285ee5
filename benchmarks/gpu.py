"""Measurements and two papers' sweeps on a GPU, where torch is and Ray is not: `make gpu`.

    measurements   the benchmarks `graphs`, `training_loop` and `full_card`, each once
    sweeps         the plans in gpu/, from `make gpu-plans` where osr is; results go to gpu/results
    table          of what is done of each plan

Every call saves what it has done, and the next goes on. A measurement that fails leaves its words
in gpu/, and is made again once that file is deleted; the sweeps do not wait for it. A call ends
with 0 when all is done, with 5 when its minutes are over, else with the code of `python -m
osr_core.batch`; `make` itself ends with 2 for any of these but 0. Nothing is committed. The table
is for docs/results.md; at home, `osr merge gpu/results` takes the results themselves.
"""

import argparse
import json
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks import __main__ as benchmarks
from benchmarks.__main__ import NEED_GPU
from osr_core.batch import __main__ as batch
from osr_core.batch.__main__ import FAILED, TIME_SPENT
from osr_core.results.commit import Commit
from osr_core.results.layout import marker_of

MEASUREMENTS = ("graphs", "training_loop", "full_card")
MEASURED_IN_MIN = 7.0  # what each of them is expected to take; nobody has measured it
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
        parser.error(f"there are no plans in {asked.folder}: run `make gpu-plans` where osr is")
    if missing(asked.folder) and asked.minutes < MEASURED_IN_MIN:
        parser.error(f"a measurement takes {MEASURED_IN_MIN:g} minutes; give as many or more")
    code = measured(asked.folder, ends_at) or run(plans, asked.folder / "results", ends_at)
    for plan in plans:
        print("\n".join(table(plan, asked.folder / "results")))
    for each in failures(asked.folder):
        print(f"a measurement failed, see {each}; delete that file to make it again")
        code = code or FAILED
    print({0: "all is done", TIME_SPENT: "repeat the command"}.get(code, f"it ended with {code}"))
    return code


def missing(folder: Path) -> list[str]:
    """The measurements that are still to be made; one compares with torchvision's transforms."""
    where = "gpu" if torch.cuda.is_available() else "cpu"
    here = [name for name in MEASUREMENTS if name != "training_loop" or find_spec("torchvision")]
    here = [name for name in here if name not in NEED_GPU or torch.cuda.is_available()]
    ends = {name: benchmarks.RESULTS / f"{name}-{where}.json" for name in here}
    return [name for name in here if not (ends[name].exists() or failure(folder, name).exists())]


def failure(folder: Path, name: str) -> Path:
    """Where the words of a measurement that has failed are kept."""
    return folder / f"{name}-failed.txt"


def failures(folder: Path) -> list[Path]:
    """Of all measurements that have."""
    return sorted(folder.glob(failure(Path(), "*").name))


def measured(folder: Path, ends_at: float) -> int:
    """Make the measurements that are missing; 5 where there is no time for one."""
    for name in missing(folder):
        if time.monotonic() + 60 * MEASURED_IN_MIN > ends_at:
            return TIME_SPENT
        try:
            benchmarks.run([name])
        except Exception:  # such as a card without room for ten fits
            failure(folder, name).write_text(traceback.format_exc())
    return 0


def run(plans: Sequence[Path], results: Path, ends_at: float) -> int:
    """Run the plans one after the other; a stage that fails holds up its own plan alone."""
    first = 0
    for plan in plans:
        minutes = (ends_at - time.monotonic()) / 60
        if minutes <= 0:
            return TIME_SPENT
        print(f"== {plan}", flush=True)
        code = batch.main([str(plan), "--store", str(results), "--minutes", str(minutes)])
        if code not in (0, FAILED):
            return code
        first = first or code
    return first


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
