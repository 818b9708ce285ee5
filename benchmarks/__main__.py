"""Run benchmarks and keep what they found, with hardware and versions."""

import argparse
import importlib
import importlib.util
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from osr_core.machine import machine_facts

RESULTS = Path(__file__).parent / "results"
SPEEDS = (
    "graphs",
    "training_loop",
    "full_card",
    "mining",
    "decode_cache",
    "orchestration",
    "scoring",
    "scale",
    "export",
)
CHOICES = ("robustness", "rejection", "openmax", "search", "search_rungs")  # what defaults rest on
GROUPS = {"speeds": SPEEDS, "choices": CHOICES}

NEED_GPU = ("graphs",)
NEED_RAY = ("orchestration", "scoring", "scale", "search", "search_rungs", "export")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    facts = machine_facts(torch.device("cpu"), gpus=0, wall_s=0)
    return {
        "cpu": facts["hardware"],
        "instruction_set": facts["instruction_set"],
        "cores": len(os.sched_getaffinity(0)),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
    }


def commit() -> str:
    """The commit measured, marked where files differ from it that are no results of benchmarks."""
    name = _git("describe", "--always", "--exclude=*")
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", f":(exclude){RESULTS}"
    )
    return (name or "unknown") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main() -> None:
    """Run the named benchmarks, or those of a group, and write one file each."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = [*GROUPS, *SPEEDS, *CHOICES]
    parser.add_argument("names", nargs="+", choices=known, metavar="NAME", help=", ".join(known))
    asked = [each for name in parser.parse_args().names for each in GROUPS.get(name, [name])]
    run(list(dict.fromkeys(asked)))


def module_of(name: str) -> ModuleType:
    """The module that measures a benchmark."""
    folder = "benchmarks.choices" if name in CHOICES else "benchmarks"
    return importlib.import_module(f"{folder}.{name}")


def run(names: Sequence[str]) -> None:
    """Run benchmarks and write one file each; those that need a GPU or Ray only where it is."""
    where = "gpu" if torch.cuda.is_available() else "cpu"
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        print(f"== {name} on {where}")
        if name in NEED_RAY and importlib.util.find_spec("ray") is None:
            print("   skipped: Ray is not installed")
            continue
        if name in NEED_GPU and where != "gpu":
            print("   skipped: there is no GPU")
            continue
        result = module_of(name).measure()
        record = {"benchmark": name, "date": f"{datetime.now(UTC):%Y-%m-%d}", **machine()}
        path = RESULTS / f"{name}-{where}.json"
        path.write_text(json.dumps({**record, "result": result}, indent=2) + "\n")
        print(f"   {path.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
