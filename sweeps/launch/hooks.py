"""Telling others that a launch has ended: `OSR_ON_END` and `OSR_ON_FAILURE`.

Each is a command for the shell, or the address of a webhook, which may be a secret: neither is
printed, nor part of a spec. A webhook gets JSON whose `text` is one line for people, as chats take
it; a command gets the same in its environment: OSR_TEXT, OSR_SWEEP, OSR_EXIT_CODE. What a hook does
changes nothing of the launch.
"""

import json
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from osr_core.errors import OsrError

log = logging.getLogger(__name__)
ON_END, ON_FAILURE = "OSR_ON_END", "OSR_ON_FAILURE"
WEBHOOKS = ("http://", "https://")
ANSWER_S, COMMAND_S = 10.0, 60.0


@dataclass
class Ending:
    """How a launch ends, as far as it is known."""

    sweep: str
    link: str  # where it can be looked at
    text: str = "was cut off"
    exit_code: int = OsrError.exit_code

    @property
    def line(self) -> str:
        """For people, with a link."""
        return f"sweep {self.sweep} on {socket.gethostname()} {self.text} ({self.link})"


@contextmanager
def told(sweep: str, link: str) -> Iterator[Ending]:
    """Call the hooks when a block ends; it notes how. What it raises counts as a failure."""
    ending = Ending(sweep, link)
    try:
        yield ending
    except OsrError as error:
        ending.text, ending.exit_code = f"has failed: {error}", error.exit_code
        raise
    finally:
        for name in (ON_FAILURE, ON_END) if ending.exit_code else (ON_END,):
            call(name, ending)


def call(name: str, ending: Ending) -> None:
    """Call one hook, if it is set; one that fails is named, and no more."""
    if not (target := os.environ.get(name)):
        return
    try:
        (post if target.startswith(WEBHOOKS) else run)(target, ending)
    except HTTPError as error:
        log.warning("%s could not be told: HTTP %s", name, error.code)
    except subprocess.CalledProcessError as error:
        log.warning("%s could not be told: its command ended with %s", name, error.returncode)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.warning("%s could not be told: %s", name, type(error).__name__)


def post(address: str, ending: Ending) -> None:
    """Send it to a webhook."""
    facts = {"text": ending.line, "sweep": ending.sweep, "exit_code": ending.exit_code}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(address, json.dumps(facts).encode(), headers), timeout=ANSWER_S):
        pass


def run(command: str, ending: Ending) -> None:
    """Give it to a command."""
    about = {"OSR_TEXT": ending.line, "OSR_SWEEP": ending.sweep}
    about |= {"OSR_EXIT_CODE": str(ending.exit_code)}
    subprocess.run(command, shell=True, check=True, env=os.environ | about, timeout=COMMAND_S)
