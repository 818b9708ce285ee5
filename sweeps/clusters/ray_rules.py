"""What the installed Ray says of its commands' options and of its launcher's files."""

import copy
import json
import logging
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import ray.autoscaler
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start
from ray.scripts.symmetric_run import symmetric_run

VARIABLE = re.compile(r"\$\(.*?\)|\$\{?\w+\}?")  # of a shell; stands for some number or name
ENDS = set(";&|()<>")  # what ends a command of a shell
NOT_SYMMETRIC = ("--head", "--node-ip-address", "--port", "--block")  # Ray gives them itself


def launcher_schema() -> dict[str, Any]:
    """Ray's own list of a launcher file's fields."""
    path = Path(ray.autoscaler.__file__).parent / "ray-schema.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def refusal(config: dict[str, Any]) -> str | None:
    """Why `ray up` would refuse a file before it asks any cloud; None where it would not."""
    cli_logger.configure(log_style="record", verbosity=-1)
    logging.getLogger("ray.autoscaler").setLevel(logging.ERROR)
    try:
        validate_config(prepare_config(copy.deepcopy(config)))
    except Exception as error:  # jsonschema's, click's and Ray's own
        return f"Ray refuses the file: {' '.join(str(error).split())}"
    return None


def commands(line: str, *words: str) -> list[list[str]]:
    """What follows some words, such as `ray start`, in a line of a shell: one list for each.

    None where a quotation mark is not closed: the line is part of a longer text, or a mistake.
    """
    lexer = shlex.shlex(VARIABLE.sub("1", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = []
    try:
        rest = list(lexer)
    except ValueError:
        return found
    while rest:
        if rest[: len(words)] == list(words):
            own = rest[len(words) :]
            end = next((i for i, word in enumerate(own) if set(word) <= ENDS), len(own))
            found.append(own[:end])
        rest = rest[1:]
    return found


def start_problems(words: Sequence[str]) -> Iterator[str]:
    """What `ray start` would not take of its options."""
    try:
        start.make_context("start", list(words))
    except click.ClickException as error:
        yield f"`ray start {' '.join(words)}`: {error.format_message()}"


def symmetric_problems(words: Sequence[str]) -> Iterator[str]:
    """What `ray symmetric-run` would not take of its options, which are also those of `ray start`,
    and whether a command follows.
    """
    if "--" not in words or words[-1] == "--":
        yield "`ray symmetric-run` takes its command after ' -- ', and there is none."
        return
    own = list(words[: words.index("--")])
    try:
        context = symmetric_run.make_context("symmetric-run", own)
    except click.ClickException as error:
        yield f"`ray symmetric-run {' '.join(own)}`: {error.format_message()}"
        return
    rest = context.params["ray_args_and_entrypoint"]
    for name in NOT_SYMMETRIC:
        if any(word.partition("=")[0] == name for word in rest):
            yield f"`ray symmetric-run` sets {name} of `ray start` itself; leave it out."
    yield from start_problems(rest)


def is_flag(option: str) -> bool:
    """Whether an option of `ray start` takes no value."""
    return any(f"--{option}" in each.opts and getattr(each, "is_flag", 0) for each in start.params)
