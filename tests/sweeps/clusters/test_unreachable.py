"""Commands that ask a cluster which cannot be reached: one sentence and 2, nothing is sent."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from osr_core.errors import ConfigError
from sweeps.clusters.jobs import entrypoint
from sweeps.clusters.token import token
from sweeps.commands.app import app

Serve = Callable[[int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that gives one answer to all."""
    servers: list[HTTPServer] = []

    def start(code: int, body: bytes) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Print nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def refused(*words: str, command: str = "submit") -> str:
    """What a command says when it ends with 2."""
    with pytest.raises(ConfigError) as raised:
        CliRunner().invoke(app, [command, *words], catch_exceptions=False)
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_address_where_nobody_answers_is_named():
    """With the tunnel, which is most often what is missing."""
    said = refused("digits", "--address", "http://127.0.0.1:1")
    assert said.startswith("no Ray dashboard can be reached: nobody answers at 127.0.0.1:1")
    assert "Did you mean 'http://head:8265'?" in refused("digits", "--address", "head:8265")


@pytest.mark.parametrize("command", ["status", "logs", "stop"])
def test_who_follows_a_job_hears_the_same(command: str):
    """One place knows how a cluster is asked."""
    said = refused("digits", "--address", "http://127.0.0.1:1", command=command)
    assert said.startswith("no Ray dashboard can be reached: nobody answers at 127.0.0.1:1")


def test_a_part_of_a_sweep_is_not_asked_of_a_job():
    """A job has one driver and one log."""
    address = ("--address", "http://127.0.0.1:1")
    assert "'3f9a' is asked of the store" in refused("digits", "3f9a", *address, command="logs")
    assert "--state failed is asked of the store" in refused(
        "digits", "--failed", *address, command="status"
    )


def test_another_ray_is_named_with_both_versions(serve: Serve):
    """The driver there is of its version, and what is sent is made for ours."""
    address = serve(200, json.dumps({"ray_version": "2.9.3"}).encode())
    assert "runs Ray 2.9.3, and here is Ray 2.60." in refused("digits", "--address", address)


@pytest.mark.parametrize("answer", [(404, b""), (200, b"<html>"), (200, b"[]"), (500, b"{}")])
def test_what_is_no_dashboard_is_named(serve: Serve, answer: tuple[int, bytes]):
    """Such as MLflow's server, or a proxy."""
    assert "is not Ray's dashboard" in refused("digits", "--address", serve(*answer))


def test_spec_is_checked_before_anybody_is_asked():
    """A typo must not cost a wait."""
    assert "'digit' does not exist" in refused("digit", "--address", "http://127.0.0.1:1")
    assert "--home must be a whole path" in refused("digits", "--address", "x", "--home", "a")


def test_home_on_the_head_is_its_own_unless_named():
    """A job that finds none ends at once, with what to do."""
    assert '--home "${OSR_HOME:?must be set on the head' in entrypoint("spec.yaml", None)
    assert entrypoint("spec.yaml", "/data/osr").count('--address auto --home "/data/osr";') == 1


def test_token_is_looked_for_where_ray_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The variable, the file that a variable names, the file at home."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".ray" / "auth_token").write_text("home\n")
    assert token() == "home"
    (tmp_path / "named").write_text("named\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "named"))
    assert token() == "named"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "told")
    assert token() == "told"


@pytest.mark.parametrize("content", [b"\xc0\xff", b"one\ntwo", "tokén".encode()])
def test_what_is_no_token_is_said_of_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
):
    """It was told as a dashboard that is none, or ended in a traceback."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_bytes(content)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    with pytest.raises(ConfigError, match=f"what {path} holds is no token"):
        token()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=f"token in {tmp_path} cannot be read: Is a directory"):
        token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "one\ntwo")
    with pytest.raises(ConfigError, match="what RAY_AUTH_TOKEN holds is no token"):
        token()


def test_a_password_in_the_address_is_refused_and_not_repeated():
    """It would be printed with every line that says how to follow the job."""
    said = refused("digits", "--address", "http://me:geheim@127.0.0.1:1")
    assert "--address holds a password" in said
    assert "geheim" not in said
