"""The admin port: a process's metrics for whoever can reach it, without a key. Off unless the settings name a port."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core.settings import Settings

CLIENT_SECONDS: Final = 5.0
"""One client at a time is served, and none may hold the port for longer."""

Text = Callable[[], bytes]

log = structlog.get_logger("admin")


def own_text() -> bytes:
    """Return what this process has counted, in Prometheus' format."""
    return generate_latest()


@contextmanager
def admin_port(settings: Settings, text: Text = own_text) -> Iterator[int | None]:
    """Serve `/metrics` with `text`, and `/healthz`, until the block ends; give the port, or None where there is none.

    A port that cannot be had is told in the log and fails nothing: work goes before being watched.
    """
    server = _listen(settings, text)
    if server is None:
        yield None
        return
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="admin", daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _listen(settings: Settings, text: Text) -> _Server | None:
    if settings.admin_port is None:
        return None
    address = (settings.admin_host, settings.admin_port)
    try:
        server = _Server(address, text)
    except OSError as error:
        log.error("admin.no_port", host=address[0], port=address[1], reason=error.strerror or str(error))
        return None
    log.info("admin.listens", host=address[0], port=server.server_address[1])
    return server


class _Server(TCPServer):
    """One thread for all clients: a database that is read here is read over one connection."""

    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], text: Text) -> None:
        self.text = text
        self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        super().__init__(address, _Handler)

    def handle_error(self, _request: Any, client_address: Any) -> None:
        log.warning("admin.no_answer", client=str(client_address), reason=type(sys.exception()).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_SECONDS
    server_version, sys_version = "secateur", ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, self.server.text())
        elif path == "/healthz":
            self._answer(HTTPStatus.OK, "application/json", b'{"status":"ok"}')
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"There are /metrics and /healthz.\n")

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: it is asked every few seconds."""
