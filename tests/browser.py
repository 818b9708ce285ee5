"""Debian's Chromium, driven over its own pipe: what a page shows, says and asks for.

The DevTools protocol is JSON messages, each ended by a zero byte, on file descriptors 3 and 4.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium")
WAIT_S = 60
PLACE = """(selector, text) => {
  const fits = (one) => one.textContent.trim() === text && one.getClientRects().length > 0;
  const found = [...document.querySelectorAll(selector)].find(fits);
  if (!found) return null;
  found.target = "";
  found.scrollIntoView({block: "center", behavior: "instant"});
  const box = found.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""
COLUMN = """(heading) => {
  const table = document.querySelector("table");
  const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === heading);
  return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
}"""
LEFT = (  # what it answers about a page that is left for another one meanwhile
    "Execution context was destroyed",
    "Cannot find default execution context",
    "Inspected target navigated or closed",
)
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)


class PageLeftError(Exception):
    """The page was left while it was asked something."""


@dataclass
class Page:
    """One tab, and what was noted since it was opened."""

    read_end: int
    write_end: int
    complaints: list[str] = field(default_factory=list)  # errors on the console
    requests: list[str] = field(default_factory=list)  # URLs
    buffer: bytes = b""
    number: int = 0
    session: str = ""

    def open(self, url: str) -> None:
        """Go to an address; what the page shows may come later, see `wait_for`."""
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The window's size in CSS pixels, and which colours the user prefers."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        preferred = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[preferred])

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def unfold(self) -> None:
        """Open all details, once the whole page is there: it is shown before its end is read."""
        self.wait_for("document.readyState === 'complete'")
        self.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

    def wait_for(self, expression: str) -> Any:
        """The first value of an expression that is true; an assertion shows the page's text.

        A page that is left meanwhile gives no value, and the next one is asked.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            with suppress(PageLeftError):
                if found := self.value(expression):
                    return found
            if time.monotonic() > deadline:
                text = self.value("document.body.innerText")
                raise AssertionError(f"waited {WAIT_S} s for {expression} in:\n{text}")
            time.sleep(0.1)

    def wait_for_text(self, text: str) -> None:
        """Until the page shows a text."""
        self.wait_for(f"document.body?.innerText.includes({json.dumps(text)})")

    def click(self, selector: str, text: str) -> None:
        """Press the first element that fits and reads so, once it is there, as a mouse does.

        A link that would open a tab of its own opens here.
        """
        asked = f"{json.dumps(selector)}, {json.dumps(text)}"
        x, y = self.wait_for(f"({PLACE})({asked})")
        for kind in ("mousePressed", "mouseReleased"):
            about = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **about)

    def column(self, heading: str) -> list[str]:
        """The cells of the first table's column, from the top."""
        found: list[str] = self.value(f"({COLUMN})({json.dumps(heading)})")
        return found

    def all_pictures_are_shown(self) -> bool:
        """Once the page has all that it asked for: is there a picture, and is none broken?"""
        self.wait_for("document.readyState === 'complete'")
        shown = "document.images.length > 0 && [...document.images]"
        return bool(self.value(f"{shown}.every((one) => one.naturalWidth > 0)"))

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def foreign_hosts(self) -> set[str]:
        """Hosts asked for anything, this machine aside."""
        return {urlsplit(url).hostname or "" for url in self.requests} - {"", "127.0.0.1"}

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its answer; events that come meanwhile are noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self._note(answer)
        error = answer.get("error")
        if error and error["message"].startswith(LEFT):
            raise PageLeftError(error["message"])
        assert error is None, error
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            assert select([self.read_end], [], [], WAIT_S)[0], "chromium does not answer"
            chunk = os.read(self.read_end, 1 << 20)
            assert chunk, "chromium has ended"
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event.get("method") in COMPLAINTS:
            level = about.get("type", about.get("entry", {}).get("level", "error"))
            if level in ("error", "assert"):
                self.complaints.append(json.dumps(about))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A Chromium with its profile in `folder`, and one empty tab of it."""
    assert CHROMIUM is not None
    to_read, to_write = os.pipe(), os.pipe()  # it reads commands, it writes answers
    command = [CHROMIUM, "--headless", "--disable-gpu", "--disable-background-networking"]
    command += ["--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={folder}/profile"]
    command += ["--hide-scrollbars", "about:blank"]
    command += ["--no-sandbox"] * (os.geteuid() == 0)
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=_as_three_and_four(to_read[0], to_write[1]),
    )
    os.close(to_read[0])
    os.close(to_write[1])
    try:
        page = Page(to_write[0], to_read[1])
        tabs = page.call("Target.getTargets")["targetInfos"]
        tab = next(target["targetId"] for target in tabs if target["type"] == "page")
        page.session = page.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        yield page
    finally:
        process.kill()
        process.wait()
        os.close(to_write[0])
        os.close(to_read[1])


def _as_three_and_four(commands: int, answers: int) -> Callable[[], None]:
    """Put two descriptors where Chromium looks for them; runs in the child."""

    def move() -> None:
        first, second = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, answers))
        os.dup2(first, 3)
        os.dup2(second, 4)

    return move
