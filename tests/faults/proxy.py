"""A proxy that stands between us and an MLflow server, and misbehaves on demand."""

import contextlib
import http.client
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Proxy:
    """Forwards to a server on this machine.

    mode: "ok"; "error" (500s); "slow" (a second each); "drop" (forwarded, and every third answer
    lost on the way back); "down" (the connection is closed at once).
    """

    def __init__(self, target: int) -> None:
        self.target, self.mode = target, "ok"
        self.dropped = 0
        self._random = random.Random(7)
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
        mode = self.mode
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
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
        if mode == "drop" and request.command != "GET" and self._random.random() < 1 / 3:
            self.dropped += 1
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
