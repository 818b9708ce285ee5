"""What the machines of a cluster are told through their environment, before Ray starts there."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from osr_core.errors import ConfigError
from sweeps.addresses import check_tracking, holds_password
from sweeps.clusters.fields import unknown
from sweeps.environment import PROMISED
from sweeps.store.address import Address, bucket_of

NAME = "osr.env"
OWN = (
    *("OSR_CACHE", "OSR_DATA", "OSR_GRAPHS", "OSR_HOME", "OSR_STORE", "OSR_TRACKING_URI"),
    *("OSR_ON_END", "OSR_ON_FAILURE", "OSR_PRICES"),
)
MONITOR, STOP = "RAY_memory_monitor_refresh_ms", "RAY_JOB_STOP_WAIT_TIME_S"
MODE = "RAY_AUTH_MODE"
OF_WINDOWS = "its lines end as on Windows"
WHY = {
    MONITOR: (PROMISED[MONITOR], "else Ray's own killer of big processes ends a whole sweep"),
    STOP: ("15", "else a stopped job is killed after 3 seconds, before it has saved its epochs"),
    MODE: ("token", "else whoever reaches the cluster's ports runs programs there"),
}


def read(path: Path) -> tuple[dict[str, str], list[str]]:
    """The settings in a file that a shell reads, and what it would read otherwise than meant."""
    settings: dict[str, str] = {}
    wrong: list[str] = []
    text = path.read_bytes().decode(errors="replace")
    if "\r" in text:
        wrong.append(
            f"{path}: {OF_WINDOWS}, which become part of its values: convert it (dos2unix)."
        )
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{path}, line {number}"
        try:
            lexer = shlex.shlex(line.removeprefix("export "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:
            wrong.append(f"{place}: a quotation mark is not closed.")
            continue
        name, equals, value = words[0].partition("=") if words else ("", "", "")
        if words and not (equals and name.isidentifier()):
            wrong.append(f"{place}: a setting is NAME=value, not '{words[0]}'.")
        elif len(words) > 1:
            wrong.append(f"{place}: put the value of {name} in quotation marks.")
        elif words:
            settings[name] = value
    return settings, wrong


def problems(settings: Mapping[str, str | None], place: str, besides: str = "") -> Iterator[str]:
    """What no machine of a cluster can be told.

    Args:
        settings: by name; None where a value comes from elsewhere, such as a secret.
        place: where they stand.
        besides: what else is run before Ray starts, which may set more.
    """
    for name, (value, why) in WHY.items():
        told = settings.get(name, value)
        if name not in settings and name not in besides:
            yield f"{place}: {name}={value} is missing; {why}."
        elif name == STOP:
            if not (told or "15").isdigit() or int(told or 15) < 15:
                yield f"{place}: {name} is '{told}'; it must be 15 or more, {why}."
        elif told not in (value, None):
            yield f"{place}: {name} is '{told}'; it must be '{value}', {why}."
    for name in settings:
        if name.startswith("OSR_") and name not in OWN:
            yield f"{place}: {unknown('the setting', name, OWN)}"
    yield from _values(settings, place)


def _graphs(value: str) -> object:
    from osr_core.graphs import are_on  # torch takes seconds to import

    return are_on(value)


def _values(settings: Mapping[str, str | None], place: str) -> Iterator[str]:
    """Which of our own settings cannot have their values."""
    home = settings.get("OSR_HOME")
    if home and not home.startswith(("/", "~")):
        yield (
            f"{place}: OSR_HOME is '{home}'; it must begin with / or ~, since a job's own "
            "folder is deleted after it."
        )
    looks: dict[str, Callable[[str], object]] = {
        "OSR_DATA": bucket_of,
        "OSR_GRAPHS": _graphs,
        "OSR_STORE": Address.parse,
        "OSR_TRACKING_URI": partial(check_tracking, "OSR_TRACKING_URI"),
    }
    for name, look in looks.items():
        value = settings.get(name)
        if holds_password(value):
            yield f"{place}: {name} holds a secret, which is printed and kept in logs; take it out."
            continue
        try:
            if value:
                look(value)
        except ConfigError as error:
            yield f"{place}: {error}"
