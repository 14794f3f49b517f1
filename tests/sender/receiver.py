"""A receiver of webhooks on the loopback interface, which takes down what it gets and answers as it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What to answer: the status, further headers and the body; how long to let it wait, and how slowly to send it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"thank you"
    wait_seconds: float = 0.0
    drip_seconds: float = 0.0


@dataclass
class Receiver:
    """`replies` are given one after the other, then the last one for ever."""

    replies: list[Reply] = field(default_factory=lambda: [Reply()])
    received: list[Received] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.received]

    def take(self, request: Received) -> Reply:
        with self.lock:
            self.received.append(request)
            return self.replies[0] if len(self.replies) == 1 else self.replies.pop(0)


@contextmanager
def receiving(receiver: Receiver | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port until the block ends."""
    found = receiver or Receiver()

    class Handler(_Handler):
        receiver = found

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.url = f"{'https' if tls else 'http'}://localhost:{server.server_port}/hook"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.receiver.take(Received(self.path, headers, body))
        time.sleep(reply.wait_seconds)
        try:
            self._answer(reply)
        except OSError:  # the sender has heard enough
            self.close_connection = True

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if not reply.drip_seconds:
            self.wfile.write(reply.body)
            return
        for byte in reply.body:
            self.wfile.write(bytes([byte]))
            time.sleep(reply.drip_seconds)


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """Verify a message as the specification of Standard Webhooks says, with nothing of the service's own code.

    The signed content is id, timestamp and body, joined by full stops; the key is what stands in base64 behind
    `whsec_`; the header has space-delimited signatures, each a version, a comma and base64.
    """
    key = base64.b64decode(secret[len("whsec_") :], validate=True)
    signed = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    expected = hmac.digest(key, signed, hashlib.sha256)
    versions = [entry.split(",", 1) for entry in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and base64.b64decode(value) == expected for version, value in versions)
