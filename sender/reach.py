"""Connections to checked addresses alone: a name is resolved, each address judged, and that very address connected to.

Judging a name before the connection would be worth nothing: it can lead elsewhere a moment later.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore2

from core.webhooks.addresses import Address, Network, Unreachable, check_address

Resolve = Callable[[str, int], Awaitable[list[Address]]]

_resolvers = ThreadPoolExecutor(16, thread_name_prefix="resolve")
"""Threads of their own: names that nobody answers for must not keep the database waiting."""


async def resolve(host: str, port: int) -> list[Address]:
    """Return every address of a name, as the system finds them; raise Unreachable where there is none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_resolvers, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"The name '{host[:200]}' cannot be resolved: {error}.") from error
    texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ip_address(text) for text in texts]


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to what may be sent to, and raises Unreachable for all else."""

    def __init__(self, private_networks: Sequence[Network], *, is_plain: bool, resolve: Resolve = resolve) -> None:
        self._private_networks, self._is_plain, self._resolve = private_networks, is_plain, resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that may be sent to and that answers."""
        failure: Exception = Unreachable(f"The name '{host[:200]}' has no address.")
        for address in self._allowed(await self._resolve(host, port)):
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    def _allowed(self, addresses: Sequence[Address]) -> list[Address]:
        """Return the addresses that may be sent to; where there are some and none may, say why."""
        allowed, refusals = [], []
        for address in addresses:
            try:
                check_address(address, self._private_networks, is_plain=self._is_plain)
            except Unreachable as refusal:
                refusals.append(refusal)
            else:
                allowed.append(address)
        if refusals and not allowed:
            raise refusals[0]
        return allowed
