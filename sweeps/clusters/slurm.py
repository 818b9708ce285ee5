"""Scripts for Slurm's `sbatch` that start Ray with `ray symmetric-run`."""

import re
from collections.abc import Iterator
from pathlib import Path

from sweeps.clusters import fields, ray_rules, settings

MARK = "#SBATCH"
NEEDED = {
    "nodes": "without it, Slurm gives one machine",
    "ntasks-per-node": "Ray starts once on each machine: --ntasks-per-node=1",
    "time": "without it, the partition's default ends the sweep",
}
SOURCED = re.compile(r"^\s*(?:\.|source)\s+(\S+\.env)\s*$", re.MULTILINE)


def options(text: str) -> dict[str, tuple[int, str]]:
    """What a script asks Slurm for: by name, the line and the value; Slurm stops reading at the
    first command.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            break
        for word in line.removeprefix(MARK).split("#")[0].split() if line.startswith(MARK) else ():
            name, _, value = word.partition("=")
            found[name] = (number, value)
    return found


def problems(text: str) -> list[str]:
    """What is wrong with a script; paths in it are seen from the working folder."""
    if "\r" in text:
        return [f"{settings.OF_WINDOWS}, and sbatch refuses it: convert it (dos2unix)."]
    return [*_options(text), *_commands(text)]


def starts(text: str) -> str:
    """What `sbatch` would start, in words."""
    asked = {name.lstrip("-"): value for name, (_, value) in options(text).items()}
    names = ("nodes", "gpus-per-node", "cpus-per-task", "time")
    return "a job of Slurm: " + ", ".join(
        f"{name} {asked[name]}" for name in names if name in asked
    )


def _options(text: str) -> Iterator[str]:
    known = fields.packaged("sbatch")["options"]
    found = options(text)
    for name, (number, _) in found.items():
        if name.startswith("--") and name[2:] not in known:
            named = fields.unknown("the option", name, (f"--{each}" for each in known))
            yield f"line {number}: {named}"
        elif not name.startswith("--"):
            yield f"line {number}: write '{name}' in its long form, --NAME=VALUE."
    for name, why in NEEDED.items():
        if f"--{name}" not in found:
            yield f"the option --{name} is missing; {why}."
    tasks = found.get("--ntasks-per-node", (0, "1"))
    if tasks[1] != "1":
        yield f"line {tasks[0]}: --ntasks-per-node is {tasks[1]}; Ray starts once a machine: 1."


def _commands(text: str) -> Iterator[str]:
    lines = text.replace("\\\n", " ").splitlines()
    code = [line for line in lines if not line.lstrip().startswith("#")]
    found = [words for line in code for words in ray_rules.commands(line, "ray", "symmetric-run")]
    if not found:
        yield "there is no `srun ray symmetric-run --address HOST:PORT -- COMMAND`."
    for words in found:
        yield from ray_rules.symmetric_problems(words)
    told: dict[str, str | None] = {}
    for name in SOURCED.findall(text):
        if not Path(name).expanduser().exists():
            yield f"there is no {name} (from {Path.cwd()})."
            continue
        values, wrong = settings.read(Path(name).expanduser())
        told |= values
        yield from wrong
    yield from settings.problems(told, f"{settings.NAME} (that the script reads)", text)
