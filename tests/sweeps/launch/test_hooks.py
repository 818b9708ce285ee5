"""A chat or a command is told how a launch has ended, and cannot hold it up or change it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from osr_core.errors import ConfigError
from sweeps.launch.hooks import ON_END, ON_FAILURE, told
from tests.sweeps.command import call_osr


class Chat(HTTPServer):
    """Keeps what it is sent, and answers with a code."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Heard)
        self.said: list[dict[str, Any]] = []
        self.code = 200

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret"


class Heard(BaseHTTPRequestHandler):
    """One request."""

    server: Chat

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.said.append(json.loads(self.rfile.read(length)))
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def chat() -> Iterator[Chat]:
    """It listens."""
    server = Chat()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_hears_one_line_with_a_link(chat: Chat, monkeypatch: pytest.MonkeyPatch):
    """And of a good end only those who want every end."""
    monkeypatch.setenv(ON_END, chat.address)
    monkeypatch.setenv(ON_FAILURE, "exit 7")
    with told("small", "http://mlflow:5000") as ending:
        ending.text, ending.exit_code = "has ended: 4 of 4 trials done", 0
    (said,) = chat.said
    assert said["text"].startswith("sweep small on ")
    assert said["text"].endswith(" has ended: 4 of 4 trials done (http://mlflow:5000)")
    assert (said["sweep"], said["exit_code"]) == ("small", 0)


def test_a_command_hears_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """That of `osr run` itself, with its reason and exit code."""
    heard = tmp_path / "heard"
    monkeypatch.setenv(ON_FAILURE, f'echo "$OSR_SWEEP $OSR_EXIT_CODE $OSR_TEXT" > {heard}')
    done = call_osr("run", "digits", "--address", "127.0.0.1:1", home=tmp_path / "home")
    assert done.returncode == 2
    assert heard.read_text().startswith("digits 2 sweep digits on ")
    assert "has failed: no Ray cluster answers at 127.0.0.1:1" in heard.read_text()


@pytest.mark.parametrize("broken", ["http://127.0.0.1:1/secret", "exit 7", "a 'quote"])
def test_a_hook_that_fails_changes_nothing_and_is_named(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Its address may be a secret, and is not printed."""
    monkeypatch.setenv(ON_END, broken)
    with told("small", "here") as ending:
        ending.exit_code = 0
    assert "OSR_ON_END could not be told" in caplog.text
    assert "secret" not in caplog.text


def test_a_webhook_that_refuses_is_named_with_its_code(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A failure is told to both, and raised as before."""
    chat.code = 404
    monkeypatch.setenv(ON_FAILURE, chat.address)
    monkeypatch.setenv(ON_END, chat.address)
    with pytest.raises(ConfigError), told("small", "here"):
        raise ConfigError("it is wrong")
    assert [said["exit_code"] for said in chat.said] == [2, 2]
    assert "OSR_ON_FAILURE could not be told: HTTP 404" in caplog.text
