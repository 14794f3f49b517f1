"""Which addresses and URLs are sent to."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from core.webhooks.addresses import Unreachable, check_address, check_url, is_public

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.100.100.200",  # a cloud's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # another cloud's
    "169.254.169.254",  # and most others'
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # an older one of yet another
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "3fff::1",
    "5f00::1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "2002:7f00:1::",  # 6to4 around 127.0.0.1
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700:4700::1111", "64:ff9b::1.1.1.1"]


@pytest.mark.parametrize("text", INSIDE)
def test_what_is_not_of_the_internet_is_refused_in_every_dress(text: str) -> None:
    assert not is_public(ip_address(text))
    with pytest.raises(Unreachable, match="WEBHOOK_PRIVATE_NETWORKS"):
        check_address(ip_address(text), [], is_plain=False)


@pytest.mark.parametrize("text", OUTSIDE)
def test_the_internet_is_reached_by_tls_alone(text: str) -> None:
    check_address(ip_address(text), [], is_plain=False)

    with pytest.raises(Unreachable, match="https://"):
        check_address(ip_address(text), LOOPBACK, is_plain=True)


def test_a_network_that_the_operator_names_is_reached_and_no_other() -> None:
    check_address(ip_address("127.0.0.1"), LOOPBACK, is_plain=True)
    check_address(ip_address("::1"), LOOPBACK, is_plain=False)

    with pytest.raises(Unreachable):
        check_address(ip_address("10.0.0.1"), LOOPBACK, is_plain=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?team=a%20b",
        "https://example.com:8443",
        "HTTPS://EXAMPLE.COM/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
    ],
)
def test_a_url_of_the_internet_is_taken(url: str) -> None:
    check_url(url, [])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "https://host"),
        ("file:///etc/passwd", "https://host"),
        ("https:///path", "https://host"),
        ("example.com/hook", "https://host"),
        ("https://example.com:0/", "https://host"),
        ("https://example.com:99999/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://user:secret@example.com/", "user or password"),
        ("https://example.com/#part", "#fragment"),
        ("https://example.com/a b", "ASCII"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com/\r\nHost: other", "ASCII"),
        ("https://127.0.0.1/", "public internet"),
        ("https://[::ffff:10.0.0.1]/", "public internet"),
        ("https://169.254.169.254/latest/meta-data", "public internet"),
    ],
)
def test_a_url_that_could_never_be_sent_to_is_refused_at_once(url: str, why: str) -> None:
    with pytest.raises(Unreachable, match=why):
        check_url(url, [])


def test_plain_http_is_taken_where_a_private_network_is_allowed() -> None:
    check_url("http://127.0.0.1:8000/", LOOPBACK)
    check_url("http://ci.internal/", LOOPBACK)

    with pytest.raises(Unreachable):
        check_url("http://1.1.1.1/", LOOPBACK)
