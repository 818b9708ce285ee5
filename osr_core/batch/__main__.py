"""`python -m osr_core.batch PLAN.json --store FOLDER`: a plan's stages without Ray.

Exit codes, as of `osr`: 0 all done; 1 some stages failed, wait for others or are another process's;
2 the request is wrong; 3 a folder, a disk or a GPU broke; 5 the time is spent; 130 stopped by a
signal. What is saved stays, and the same command goes on.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from osr_core import graphs
from osr_core.batch.ending import Ending
from osr_core.batch.folder import ResultFolder
from osr_core.batch.plan import StagePlan
from osr_core.batch.run import Run
from osr_core.errors import ConfigError, OsrError

FAILED, OF_SYSTEM, TIME_SPENT, STOPPED = 1, 3, 5, 130

log = logging.getLogger("osr_core.batch")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What a user has typed."""
    parser = argparse.ArgumentParser(
        prog="python -m osr_core.batch",
        description="Run the stages of a plan in this process. Start it again to go on, or several "
        "times beside each other on one folder.",
    )
    parser.add_argument("plan", type=Path, help="what osr plan SPEC --output PLAN.json has written")
    parser.add_argument("--store", type=Path, required=True, help="the folder of the results")
    parser.add_argument("--kinds", nargs="+", default=[], help="run only these kinds of stages")
    parser.add_argument("--minutes", type=float, help="stop by then, with all saved")
    data = os.environ.get("OSR_DATA")
    parser.add_argument(
        "--data-root", type=Path, default=data and Path(data), help="where the data lie; OSR_DATA"
    )
    return parser.parse_args(given)


def run(given: Sequence[str] | None = None) -> int:
    """Run a plan as typed, and return the exit code."""
    asked = arguments(given)
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    log.setLevel(logging.INFO)
    ending = Ending(asked.minutes)
    ending.watch()
    graphs.are_on(os.environ.get(graphs.VARIABLE))  # refuses a wrong value now, not in each fit
    plan = StagePlan.read(asked.plan.expanduser())
    plan.check_source()
    folder = ResultFolder(asked.store.expanduser())
    folder.check_source(plan.needed(plan.to_run))
    wanted = plan.wanted(asked.kinds, folder.done(plan.identities))
    here = Run(plan, folder, asked.data_root and asked.data_root.expanduser(), ending)
    log.info("%d of %d stages are to run, on %s", len(wanted), len(plan.identities), here.device)
    here.go(wanted)
    left = len(wanted) - len(folder.done(wanted))
    log.info("%d made here, %d failed, %d left", len(here.made), len(here.failed), left)
    if here.is_out_of_time:
        return STOPPED if ending.signalled else TIME_SPENT
    return FAILED if left else 0


def main(given: Sequence[str] | None = None) -> int:
    """Run; what is wrong with a request is said without a traceback."""
    try:
        return run(given)
    except OsrError as error:
        lines = error.problems if isinstance(error, ConfigError) else [str(error)]
        code = error.exit_code
    except (OSError, torch.AcceleratorError) as error:
        lines, code = [str(error)], OF_SYSTEM
    for line in lines:
        sys.stderr.write(f"error: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
