"""A proxy that stands between us and an MLflow server, and misbehaves on demand."""

import contextlib
import http.client
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Proxy:
    """Forwards to a server on this machine.

    mode: "ok"; "down" (the connection is closed at once); "error" (a 500); "slow" (a second);
    "hold" (no answer until the mode is another); "lose" (what makes a run or sends a history's
    points reaches the server, but its answer is lost the first time).
    """

    def __init__(self, target: int) -> None:
        self.target, self.mode = target, "ok"
        self.script: list[str] = []  # modes of the next requests, before `mode` holds
        self.seen: Counter[str] = Counter()  # requests by mode
        self.lost: list[bytes] = []  # requests whose answer was lost
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        """What OSR_TRACKING_URI is set to."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request in the way of the day."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._lock:
            mode = self.script.pop(0) if self.script else self.mode
            self.seen[mode] += 1
        while mode == "hold":
            time.sleep(0.05)
            mode = self.mode
        if mode == "down":
            self._hang_up(request)
            return
        if mode == "error":
            request.send_response(500)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if mode == "slow":
            time.sleep(1)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        target = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        with contextlib.closing(target) as connection:
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        makes = request.path.endswith("runs/create") or (
            request.path.endswith("runs/log-batch") and b'"train/' in body
        )
        if mode == "lose" and makes and body not in self.lost:
            self.lost.append(body)
            self._hang_up(request)
            return
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    @staticmethod
    def _hang_up(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)
