"""Which addresses may be sent to: those of the public internet, and the private networks that the operator names."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SPECIAL: Final = (
    IPv4Network("168.63.129.16/32"),  # a cloud's own service
    IPv4Network("192.0.0.0/24"),  # protocols' own; another cloud's metadata is at 192.0.0.192
    IPv6Network("fec0::/10"),  # site-local, before there was fc00::/7
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("5f00::/16"),  # segment routing
)
"""Not of the internet, whatever the standard library says of them; which it says changes with Python's version."""

NAT64: Final = IPv6Network("64:ff9b::/96")


class Unreachable(ValueError):
    """This address or URL is not sent to; the text says why and what to do."""


def check_address(address: Address, private_networks: Sequence[Network], *, is_plain: bool) -> None:
    """Raise Unreachable unless the address is public, or in one of `private_networks`.

    Plain HTTP (`is_plain`) goes to private networks alone: on the internet anyone could read it.
    """
    if any(address in network for network in private_networks):
        return
    if not is_public(address):
        raise Unreachable(
            f"{address} is no address of the public internet. The operator can allow a private network with "
            "SECATEUR_WEBHOOK_PRIVATE_NETWORKS."
        )
    if is_plain:
        raise Unreachable(f"{address} is on the public internet, where plain http:// is not used. Use https://.")


def is_public(address: Address) -> bool:
    """Say whether the address is of the public internet, and so is every address that is wrapped in it."""
    inner = _wrapped(address)
    if inner is not None:
        return is_public(inner)
    special = address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local
    return address.is_global and not special and not any(address in network for network in SPECIAL)


def check_url(url: str, private_networks: Sequence[Network]) -> None:
    """Raise Unreachable for a URL that could never be sent to; a name is judged whenever it is connected to."""
    parts = _split(url)
    if parts.scheme == "http" and not private_networks:
        raise Unreachable("Plain http:// is not used on the internet. Use https://.")
    try:
        address = ip_address(str(parts.hostname).partition("%")[0])
    except ValueError:
        return
    check_address(address, private_networks, is_plain=parts.scheme == "http")


def _split(url: str) -> SplitResult:
    """Take a URL apart, and refuse what is no plain address of a web server."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Unreachable("A URL has printable ASCII characters only: write others as %XX, and a name as xn--….")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unreachable(f"This is no URL: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Unreachable("Expected https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise Unreachable("A URL with a user or password in it is not taken: whoever lists webhooks would see them.")
    if parts.fragment:
        raise Unreachable("A URL with a #fragment is not taken: it is never sent.")
    return parts


def _wrapped(address: Address) -> Address | None:
    """Return the IPv4 address inside an IPv6 one: mapped, 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
