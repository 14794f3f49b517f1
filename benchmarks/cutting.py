"""A proxy that cuts uploads: it reads each PATCH's offset and drops both connections at given bytes of the file."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

READ_BYTES = 65536
HEAD_END = b"\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


class Cut(Exception):
    """The connection is to be dropped here."""


@dataclass
class CuttingProxy:
    """Passes on what one client sends, up to the next byte of `cut_at`; ascending offsets in the file.

    `read_bytes` is how far the client has ever sent; `resent` has, for each cut, how many bytes it then sent again.
    `on_cut(number)` is called at each cut, before the connections are dropped.
    """

    server_port: int
    cut_at: list[int]
    on_cut: Callable[[int], None] = lambda _number: None
    port: int = 0
    read_bytes: int = 0
    cuts: int = 0
    resent: list[int] = field(default_factory=list)
    _was_cut: bool = False

    def serve(self, client: socket.socket) -> None:
        """Pass one connection on until it ends or is cut."""
        with client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            try:
                self._pass_requests(client, server)
            except Cut:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)  # what the client has sent may be lost
            finally:
                for end in (client, server):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                back.join()

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        rest = b""
        while True:
            while HEAD_END not in rest:
                chunk = client.recv(READ_BYTES)
                if not chunk:
                    return
                rest += chunk
            head, _, rest = rest.partition(HEAD_END)
            server.sendall(head + HEAD_END)
            rest = self._pass_body(head, rest, client, server)

    def _pass_body(self, head: bytes, rest: bytes, client: socket.socket, server: socket.socket) -> bytes:
        """Pass on one body and return what was read behind it."""
        left, offset = _number(head, b"content-length") or 0, _number(head, b"upload-offset")
        if offset is not None:
            self._begin_part(offset)
        while left:
            chunk = rest or client.recv(READ_BYTES)
            if not chunk:
                return b""
            body, rest = chunk[:left], chunk[left:]
            left -= len(body)
            if offset is not None:
                body = self._up_to_the_cut(offset, body)
                offset += len(body)
            server.sendall(body)
            if self._was_cut:
                raise Cut
        return rest

    def _begin_part(self, offset: int) -> None:
        if self._was_cut:
            self.resent.append(max(0, self.read_bytes - offset))
            self._was_cut = False

    def _up_to_the_cut(self, offset: int, body: bytes) -> bytes:
        """Return what of a body still passes; all of it counts as sent."""
        self.read_bytes = max(self.read_bytes, offset + len(body))
        if not self.cut_at or offset + len(body) < self.cut_at[0]:
            return body
        passes = max(0, self.cut_at.pop(0) - offset)
        self._was_cut = True
        self.cuts += 1
        self.on_cut(self.cuts)
        return body[:passes]


@contextmanager
def cutting(
    server_port: int, cut_at: Sequence[int], on_cut: Callable[[int], None] = lambda _number: None
) -> Iterator[CuttingProxy]:
    """Run a proxy on a free port of the loopback."""
    proxy = CuttingProxy(server_port, sorted(cut_at), on_cut)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]
        accepting = threading.Thread(target=_accept, args=(listener, proxy), daemon=True)
        accepting.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _accept(listener: socket.socket, proxy: CuttingProxy) -> None:
    """Serve one connection after another; one upload at a time is what is cut."""
    serving: list[threading.Thread] = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        serving.append(threading.Thread(target=_serve, args=(proxy, client), daemon=True))
        serving[-1].start()
    for thread in serving:
        thread.join()


def _serve(proxy: CuttingProxy, client: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the server is away, or either end has gone: both are what this is for
        proxy.serve(client)
    client.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on the answers."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(READ_BYTES):
            target.sendall(chunk)


def _number(head: bytes, name: bytes) -> int | None:
    found = re.search(rb"\r\n" + name + rb":\s*(\d+)", head, re.IGNORECASE)
    return int(found.group(1)) if found else None
