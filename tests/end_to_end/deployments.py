"""The service as its users start it: one command on one machine, or the containers' topology from wheels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from client import Client
from core.keys import new_key
from examples.embedded import plain_environment, running_service
from tests.end_to_end.spreading import InTurn
from tests.servers import PostgresServer, S3Server, free_port, running, wait_for_port

ROOT = Path(__file__).parents[2]
QUICK = {
    "SECATEUR_LEASE_SECONDS": "4",
    "SECATEUR_POLL_SECONDS": "0.2",
    "SECATEUR_WEB_DRAIN_SECONDS": "0.3",
    "SECATEUR_WORKER_DRAIN_SECONDS": "0",
    "SECATEUR_WEBHOOK_PRIVATE_NETWORKS": '["127.0.0.0/8"]',
    "OMP_NUM_THREADS": "1",
}
"""Short times, so that a lost worker is noticed in seconds; and webhooks may go to a test's own receiver."""

WEB = [sys.executable, "-m", "app"]
WORKER = [sys.executable, "-m", "celery", "-A", "worker.main", "worker", "-Q", "cpu", "--loglevel", "warning"]
SENDER = [sys.executable, "-m", "sender"]


@dataclass(frozen=True)
class Deployment:
    """A running service, seen from outside: the addresses of its web processes, a key, and what may befall it.

    `kill_worker` is what a power cut does to the worker that runs a job, `renew_web` what an upgrade does to a web
    process: it is told to stop, and another takes its place.
    """

    urls: tuple[str, ...]
    key: str
    kill_worker: Callable[[], None]
    renew_web: Callable[[], None]

    @property
    def url(self) -> str:
        return self.urls[0]

    def client(self, key: str | None = None) -> Client:
        """Return a client whose requests are spread over all web processes."""
        return Client(self.url, key or self.key, transport=InTurn(self.urls))

    def http(self, key: str | None = None) -> httpx2.Client:
        """Return the same without the client's own words."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, transport=InTurn(self.urls))


@contextmanager
def embedded(folder: Path) -> Iterator[Deployment]:
    """`secateur-server`: SQLite, local files, a worker that polls, a sender."""
    with running_service(folder / "service.log", QUICK) as service:

        def kill_worker() -> None:
            os.kill(_child_of(service.process_id, "worker"), signal.SIGKILL)

        def renew_web() -> None:
            first = _child_of(service.process_id, "app")
            os.kill(first, signal.SIGTERM)
            _wait_until(lambda: not Path(f"/proc/{first}/cmdline").exists())

        yield Deployment((service.url,), service.key, kill_worker, renew_web)


@contextmanager
def scale_out(folder: Path, postgres: PostgresServer, broker_url: str, s3: S3Server) -> Iterator[Deployment]:
    """The processes of docker-compose.yml over real servers: two web processes, two Celery workers, a sender."""
    key = new_key()
    environment = plain_environment() | {
        **QUICK,
        "SECATEUR_DATABASE_URL": postgres.create_database(),
        "SECATEUR_BROKER_URL": broker_url,
        "SECATEUR_STORAGE_URL": f"s3://{s3.bucket}/end-to-end",
        "SECATEUR_S3_ENDPOINT": s3.endpoint,
        "SECATEUR_S3_ACCESS_KEY_ID": s3.access_key_id,
        "SECATEUR_S3_SECRET_ACCESS_KEY": s3.secret_access_key,
        "SECATEUR_KEY_PEPPER": "a pepper for tests",
        "SECATEUR_ADMIN_KEY": key,
    }
    subprocess.run(
        [sys.executable, "-m", "app.prepare"], cwd=ROOT, env=_with_folder(environment, folder / "prepare"), check=True
    )
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        webs = [_start(stack, folder / f"web-{port}", WEB, environment, str(port)) for port in ports]
        workers = [_start(stack, folder / f"worker-{number}", WORKER, environment) for number in range(2)]
        stack.enter_context(running(SENDER, port=None, environment=_with_folder(environment, folder / "sender")))
        for web, port in zip(webs, ports, strict=True):
            wait_for_port(port, web.process)

        def kill_worker() -> None:
            busy: list[Member] = []
            _wait_until(lambda: bool(busy.extend(one for one in workers if one.runs("compress")) or busy))
            for worker in busy:
                worker.replace(signal.SIGKILL)

        def renew_web() -> None:
            webs[0].replace(signal.SIGTERM)
            wait_for_port(ports[0], webs[0].process)

        yield Deployment(tuple(f"http://127.0.0.1:{port}" for port in ports), key, kill_worker, renew_web)
        for member in (*webs, *workers):  # all at once; each is waited for when the stack unwinds
            member.process.terminate()


class Member:
    """One process of a kind; when it ends another takes its place, as an orchestrator sees to it."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._command, self._environment = command, environment
        self._log = log.open("w")
        self._start()

    def replace(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(60)
        self._start()

    def runs(self, word: str) -> bool:
        """Whether a child of this process has the word on its command line."""
        return any(word in words for words in _children_of(self.process.pid).values())

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=self._log
        )


def _start(stack: ExitStack, folder: Path, command: list[str], environment: dict[str, str], port: str = "0") -> Member:
    """Start a member with a data folder of its own, as a container has one, and stop it at the end."""
    own = _with_folder(environment, folder) | {"SECATEUR_PORT": port}
    member = Member(command, own, folder / "log")
    stack.callback(member.stop)
    return member


def _with_folder(environment: dict[str, str], folder: Path) -> dict[str, str]:
    folder.mkdir()
    return environment | {"SECATEUR_DATA_DIR": str(folder)}


def _child_of(process_id: int, module: str) -> int:
    """Find the child that runs `python -m MODULE`; it may be starting again just now."""
    found: list[int] = []

    def find() -> bool:
        found[:] = [pid for pid, words in _children_of(process_id).items() if words[1:3] == ["-m", module]]
        return bool(found)

    _wait_until(find)
    return found[0]


def _children_of(process_id: int) -> dict[int, list[str]]:
    """Map the children of all threads of a process to the words of their command lines."""
    found = {}
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in _read(children).split():
            found[int(child)] = _read(Path(f"/proc/{child}/cmdline")).split("\0")
    return found


def _read(path: Path) -> str:
    """Read a file of the kernel's; empty where its process or thread has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError("waited a minute in vain")
        time.sleep(0.05)
