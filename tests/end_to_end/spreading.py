"""A careless balancer: each request goes to the next web process, whatever the one before it was about."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import httpx2


class InTurn(httpx2.BaseTransport):
    """Sends what is addressed to the first of several servers to each of them in turn, and all else where it goes."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [httpx2.URL(url) for url in urls]
        self._next = itertools.cycle(self._urls)
        self._transport = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.netloc == self._urls[0].netloc:
            url = next(self._next)
            request.url = request.url.copy_with(host=url.host, port=url.port)
            request.headers["Host"] = url.netloc.decode()
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()
