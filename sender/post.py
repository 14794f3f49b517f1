"""One message, one try: a POST with a limit on its time and on what is read; redirects are not followed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpcore2

from core.webhooks.addresses import Network, Unreachable, check_url
from core.webhooks.words import Answer
from sender.reach import CheckedNetwork, Resolve, resolve

BODY_BYTES: Final = 1000
ERROR_LENGTH: Final = 500
REDIRECTED: Final = "It answered with a redirect, and redirects are not followed. Give the webhook the final url."


@dataclass(frozen=True)
class Post:
    """How this sender posts: where it may go, whom it trusts, how long it waits."""

    private_networks: Sequence[Network]
    tls: ssl.SSLContext
    timeout_seconds: float
    resolve: Resolve = resolve

    async def __call__(self, url: str, headers: Mapping[str, str], payload: bytes) -> Answer:
        """Send the payload; whatever goes wrong is an answer, too."""
        answer = _Arriving()
        try:
            check_url(url, self.private_networks)
            async with (
                asyncio.timeout(self.timeout_seconds),
                self._connections(url) as connections,
                connections.stream("POST", _address(url), headers=_all(url, headers), content=payload) as response,
            ):
                await answer.read(response)
        except TimeoutError:
            answer.fails(f"No answer within {self.timeout_seconds:g} s.")
        except Unreachable as refusal:
            answer.fails(str(refusal))
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            answer.fails(f"{type(error).__name__}: {error}")
        return answer.told()

    def _connections(self, url: str) -> httpcore2.AsyncConnectionPool:
        """One connection for one message: none is kept that was judged by another moment's addresses."""
        network = CheckedNetwork(self.private_networks, is_plain=urlsplit(url).scheme == "http", resolve=self.resolve)
        return httpcore2.AsyncConnectionPool(ssl_context=self.tls, max_connections=1, network_backend=network)


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return what verifies receivers: the system's certificates, and the operator's beside them."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class _Arriving:
    """What is known of an answer so far: once its status is there, a body that breaks off changes nothing."""

    def __init__(self) -> None:
        self._status: int | None = None
        self._body = b""
        self._error: str | None = None
        self._wish_seconds = 0.0

    async def read(self, response: httpcore2.Response) -> None:
        self._status = response.status
        wish = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
        self._wish_seconds = float(wish) if wish.isdigit() and len(wish) < 10 else 0.0
        if 300 <= response.status < 400:
            self._error = REDIRECTED
        async for part in response.aiter_stream():
            self._body += part[: BODY_BYTES - len(self._body)]
            if len(self._body) == BODY_BYTES:
                return

    def fails(self, error: str) -> None:
        if self._status is None:
            self._error = error[:ERROR_LENGTH].replace("\0", "")

    def told(self) -> Answer:
        body = (
            None
            if self._status is None
            else self._body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        )
        return Answer(self._status, body, self._error, self._wish_seconds)


def _address(url: str) -> httpcore2.URL:
    """Take the URL apart ourselves: the library's own way loses what stands behind a semicolon."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore2.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target)


def _all(url: str, headers: Mapping[str, str]) -> list[tuple[bytes | str, bytes | str]]:
    ours = {
        "Host": urlsplit(url).netloc,
        "Content-Type": "application/json",
        "User-Agent": "secateur-webhooks",
        "Connection": "close",
    }
    return list({**ours, **headers}.items())
