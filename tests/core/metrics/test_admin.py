"""The admin port: off by itself, on the loopback interface where it is on, and never a reason to stop working."""

from __future__ import annotations

import socket

import httpx2

from core.metrics.admin import admin_port
from core.settings import Settings
from tests.servers import free_port


def test_there_is_none_unless_it_is_asked_for() -> None:
    with admin_port(Settings()) as port:
        assert port is None


def test_it_shows_metrics_and_life_and_nothing_else() -> None:
    with admin_port(Settings(admin_port=free_port()), lambda: b"secateur_x 1\n") as port:
        shown = httpx2.get(f"http://127.0.0.1:{port}/metrics?name=x")
        alive = httpx2.get(f"http://127.0.0.1:{port}/healthz")
        lost = httpx2.get(f"http://127.0.0.1:{port}/v1/jobs")
        posted = httpx2.post(f"http://127.0.0.1:{port}/metrics")

    assert (shown.status_code, shown.text) == (200, "secateur_x 1\n")
    assert shown.headers["Content-Type"].startswith("text/plain")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (lost.status_code, posted.status_code) == (404, 501)


def test_by_itself_it_is_for_this_machine_alone() -> None:
    assert Settings(admin_port=1).admin_host == "127.0.0.1"


def test_a_port_that_is_taken_stops_nothing() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        admin_port(Settings(admin_port=taken.getsockname()[1])) as port,
    ):
        assert port is None


def test_a_page_that_fails_and_a_client_that_leaves_do_not_end_it() -> None:
    texts = iter([b"", OSError("no database")])

    def text() -> bytes:
        found = next(texts, b"secateur_x 1\n")
        if isinstance(found, OSError):
            raise found
        return found

    with admin_port(Settings(admin_port=0), text) as port:
        with socket.create_connection(("127.0.0.1", port or 0)) as left:
            left.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        answers = []
        while "secateur_x" not in "".join(answers):
            try:
                answers.append(httpx2.get(f"http://127.0.0.1:{port}/metrics").text)
            except httpx2.RemoteProtocolError:
                answers.append("cut")

    assert answers[-1] == "secateur_x 1\n"


def test_it_is_closed_with_the_block() -> None:
    with admin_port(Settings(admin_port=0)) as port:
        assert port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
