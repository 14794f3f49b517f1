"""`secateur-server` as a user meets it: one command, an address, a key, and a clean end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from app import serve
from tests.app.running import wait_until
from tests.interrupted import ROUNDS, interrupted
from tests.servers import free_port

COMMAND = [sys.executable, "-m", "app.serve", "--port", "0"]


class Running(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    lines: list[str]


def start(folder: Path, **settings: str) -> Running:
    """Start the server and read what it prints first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SECATEUR_")} | settings
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [*COMMAND, "--data-dir", str(folder)], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    if not (folder / "was-here").exists():
        lines.append(process.stdout.readline())
        (folder / "was-here").touch()
    return Running(process, re.findall(r"http://\S+", lines[0])[0], lines)


def stop(running: Running, number: signal.Signals = signal.SIGTERM) -> int:
    if running.process.poll() is None:
        running.process.send_signal(number)
    assert running.process.stdout is not None
    running.process.stdout.close()
    return running.process.wait(40)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts the server, each time over the same data; stops whatever still runs at the end."""
    started: list[Running] = []

    def start_one(**settings: str) -> Running:
        started.append(start(tmp_path, **settings))
        return started[-1]

    yield start_one
    for running in started:
        stop(running)


@pytest.fixture
def server(servers: Callable[..., Running]) -> Running:
    return servers()


def children_of(pid: int) -> dict[str, int]:
    """Map the module that each child runs to its pid."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "-m" in command:
            found[command[command.index("-m") + 1]] = int(child)
    return found


def consecutive_ports(count: int) -> int:
    """Return the first of so many ports that nobody listens on."""
    while True:
        first = free_port()
        with ExitStack() as probes, suppress(OSError):
            for further in range(1, count):
                probes.enter_context(socket.create_server(("127.0.0.1", first + further)))
            return first


def is_up(url: str) -> bool:
    try:
        return httpx2.get(url + "/healthz", timeout=2).status_code == 200
    except httpx2.TransportError:
        return False


def test_it_tells_its_address_and_its_key_once_and_gets_ready(servers: Callable[..., Running], tmp_path: Path) -> None:
    server = servers()
    key = server.lines[1].rpartition(" ")[2].strip()

    me = httpx2.get(server.url + "/v1/me", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    wait_until(lambda: httpx2.get(server.url + "/readyz", timeout=30).status_code == 200)

    assert me.json()["scopes"] == ["admin", "read", "write"]
    assert set(children_of(server.process.pid)) == {"app", "worker", "sender"}
    assert stop(server, signal.SIGINT) == 0

    admin = consecutive_ports(3)
    again = servers(
        SECATEUR_WEB_DRAIN_SECONDS="600", SECATEUR_WORKER_DRAIN_SECONDS="600", SECATEUR_ADMIN_PORT=str(admin)
    )

    wait_until(lambda: is_up(again.url))
    for child in range(3):  # web process, worker and sender
        wait_until(lambda port=admin + child: is_up(f"http://127.0.0.1:{port}"))  # type: ignore[misc]  # a default
        assert "secateur_" in httpx2.get(f"http://127.0.0.1:{admin + child}/metrics", timeout=30).text
    assert httpx2.get(again.url + "/v1/me", headers={"Authorization": f"Bearer {key}"}, timeout=30).status_code == 200
    again.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "about to stop" in httpx2.get(again.url + "/readyz", timeout=30).text)
    wait_until(lambda: "worker" not in children_of(again.process.pid))
    assert set(children_of(again.process.pid)) == {"app", "sender"}  # who tells of what is done goes last
    assert stop(again) == 0  # the second signal waits for nobody
    assert key not in (tmp_path / "log").read_text()


def test_a_web_process_that_dies_is_started_again_on_the_same_address(server: Running) -> None:
    assert httpx2.get(server.url + "/healthz", timeout=30).status_code == 200
    first = children_of(server.process.pid)["app"]

    os.kill(first, signal.SIGKILL)

    assert httpx2.get(server.url + "/healthz", timeout=30).status_code == 200  # waits in the socket's queue
    assert children_of(server.process.pid)["app"] != first


def test_a_signal_is_heard_in_whatever_moment_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LOOK_SECONDS", 0.00005)

    def keeping_alive() -> tuple[Callable[[], object], Callable[[], object]]:
        stop = serve.Stop()
        return partial(serve._keep_alive, [], stop), stop.tell

    assert interrupted(keeping_alive) == ROUNDS


def test_an_admin_port_has_two_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is given no port would end at once, again and again."""
    monkeypatch.setenv("SECATEUR_ADMIN_PORT", "65534")

    with pytest.raises(SystemExit, match=r"65534, and the next two ports are .* up to 65533"):
        serve.main([])


def test_no_child_outlives_it(server: Running) -> None:
    wait_until(lambda: is_up(server.url))
    pids = list(children_of(server.process.pid).values())

    server.process.kill()
    server.process.wait()

    wait_until(lambda: not any(_is_running(pid) for pid in pids))


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        done = subprocess.run(
            [sys.executable, "-m", "app.serve", "--port", port, "--data-dir", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert port in done.stderr
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr
