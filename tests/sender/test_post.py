"""One POST: where it goes, whom it trusts, when it has waited and read enough."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from core.webhooks.addresses import Address, Network
from core.webhooks.words import Answer
from sender.post import BODY_BYTES, Post, trusted
from tests.sender.receiver import Receiver, Reply, receiving

LOOPBACK: list[Network] = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


def post(
    url: str,
    networks: list[Network] = LOOPBACK,
    tls: ssl.SSLContext | None = None,
    seconds: float = 20.0,
    **more: object,
) -> Answer:
    send = Post(networks, tls or trusted(None), seconds, **more)  # type: ignore[arg-type]
    return asyncio.run(send(url, {"webhook-id": "msg_1"}, b"{}"))


def leading_to(*addresses: str) -> Callable[[str, int], Awaitable[list[Address]]]:
    async def resolve(_host: str, _port: int) -> list[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` that signs itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*made, "-keyout", path, "-out", f"{path}.crt", "-days", "2", *subject], check=True, capture_output=True
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_message_arrives_as_it_was_given() -> None:
    with receiving() as receiver:
        answer = post(receiver.url + "?team=a")

    request = receiver.received[0]
    assert answer == Answer(200, "thank you")
    assert (request.path, request.body) == ("/hook?team=a", b"{}")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["host"].startswith("localhost:")
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("written", "asked"),
    [("", "/"), ("?a=1", "/?a=1"), ("/hook;v=1?a=[b]", "/hook;v=1?a=[b]"), ("/%00/a|b", "/%00/a|b"), ("/a?", "/a")],
)
def test_a_path_is_asked_for_as_it_was_written(written: str, asked: str) -> None:
    with receiving() as receiver:
        post(receiver.url.removesuffix("/hook") + written)

    assert [request.path for request in receiver.received] == [asked]
    assert receiver.received[0].headers["host"] == receiver.url.split("/")[2]
    assert receiver.received[0].headers["content-length"] == "2"


def test_a_redirect_is_not_followed_and_is_told() -> None:
    with receiving() as target, receiving(Receiver([Reply(302, {"Location": target.url})])) as receiver:
        answer = post(receiver.url)

    assert answer.status == 302
    assert answer.error is not None
    assert "redirect" in answer.error
    assert not answer.is_welcome
    assert target.received == []


def test_a_name_that_leads_inside_is_refused_before_a_byte_is_sent() -> None:
    with receiving() as receiver:
        answer = post(receiver.url.replace("http:", "https:"), networks=[])

    assert answer.status is None
    assert answer.error is not None
    assert "public internet" in answer.error
    assert receiver.received == []


@pytest.mark.parametrize("url", ["https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://0/"])
def test_an_address_in_disguise_is_refused(url: str) -> None:
    """The system's resolver takes these for 127.0.0.1 and 0.0.0.0; what it makes of them is what is judged."""
    answer = post(url, networks=[])

    assert answer.error is not None
    assert "public internet" in answer.error


def test_only_the_addresses_that_were_judged_are_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere at a second look leads nowhere: there is no second look."""
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        answer = post(f"http://rebound.example:{port}", resolve=leading_to("10.0.0.1", "127.0.0.1"))

    assert answer.status == 200
    assert receiver.received[0].headers["host"] == f"rebound.example:{port.partition('/')[0]}"


def test_a_name_without_an_allowed_address_is_refused() -> None:
    answer = post("https://inside.example/", [], resolve=leading_to("10.0.0.1", "169.254.169.254"))
    nothing = post("https://nowhere.example/", [], resolve=leading_to())
    unknown = post("https://name.invalid/", [])

    assert answer.error is not None
    assert "10.0.0.1" in answer.error
    assert nothing.error is not None
    assert "no address" in nothing.error
    assert unknown.error is not None
    assert "resolved" in unknown.error


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        assert post(f"http://two.example:{port}", resolve=leading_to("::1", "127.0.0.1")).status == 200


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with receiving(tls=serving(certificate)) as receiver:
        refused = post(receiver.url)
        taken = post(receiver.url, tls=trusted(certificate))
        misnamed = post(receiver.url.replace("localhost", "127.0.0.1"), tls=trusted(certificate))

    assert refused.status is None
    assert refused.error is not None
    assert "CERTIFICATE_VERIFY_FAILED" in refused.error
    assert taken.status == 200
    assert misnamed.status is None
    assert len(receiver.received) == 1


def test_a_receiver_that_is_silent_is_left_in_time() -> None:
    with receiving(Receiver([Reply(wait_seconds=3.0)])) as receiver:
        began = time.monotonic()
        answer = post(receiver.url, seconds=0.3)

    assert answer == Answer(error="No answer within 0.3 s.")
    assert time.monotonic() - began < 3.5


def test_a_body_that_never_ends_does_not_make_an_answer_a_failure() -> None:
    """Each byte comes in time, and all of them never would: the limit is on the whole."""
    with receiving(Receiver([Reply(202, body=b"x" * 100, drip_seconds=0.05)])) as receiver:
        answer = post(receiver.url, seconds=0.5)

    assert answer.status == 202
    assert answer.is_welcome
    assert answer.body is not None
    assert 0 < len(answer.body) < 100


def test_of_a_long_body_only_the_beginning_is_kept_and_no_zero_byte() -> None:
    with receiving(Receiver([Reply(500, body=b"\0\xff" + b"x" * 5_000_000)])) as receiver:
        answer = post(receiver.url)

    assert answer.body is not None
    assert answer.body == "\N{REPLACEMENT CHARACTER}" * 2 + "x" * (BODY_BYTES - 2)


@pytest.mark.parametrize(("text", "seconds"), [("17", 17.0), ("soon", 0.0), ("-1", 0.0), ("9" * 400, 0.0)])
def test_a_receivers_wish_to_wait_is_read(text: str, seconds: float) -> None:
    with receiving(Receiver([Reply(429, {"Retry-After": text})])) as receiver:
        assert post(receiver.url).retry_after_seconds == seconds


def test_what_is_no_http_and_what_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nothing:
        closed_port = nothing.getsockname()[1]
    refused = post(f"http://127.0.0.1:{closed_port}/")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        async def talk() -> Answer:
            loop = asyncio.get_running_loop()
            asking = asyncio.create_task(
                Post(LOOPBACK, trusted(None), 10)(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}")
            )
            connection, _ = await loop.run_in_executor(None, server.accept)
            with connection:
                connection.sendall(b"no http at all\r\n\r\n")
                return await asking

        nonsense = asyncio.run(talk())

    assert refused.status is nonsense.status is None
    assert refused.error is not None
    assert refused.error.startswith("ConnectError")
    assert nonsense.error is not None
    assert nonsense.error.startswith("RemoteProtocolError")
