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

from core.keys import new_key
from examples.embedded import plain_environment, running_service
from tests.servers import PostgresServer, S3Server, free_port, running

ROOT = Path(__file__).parents[2]
QUICK = {
    "SECATEUR_LEASE_SECONDS": "4",
    "SECATEUR_POLL_SECONDS": "0.2",
    "SECATEUR_WEBHOOK_PRIVATE_NETWORKS": '["127.0.0.0/8"]',
    "OMP_NUM_THREADS": "1",
}
"""Short times, so that a lost worker is noticed in seconds; and webhooks may go to a test's own receiver."""


@dataclass(frozen=True)
class Deployment:
    """A running service, seen from outside; `kill_worker` is what a power cut does to its worker."""

    url: str
    key: str
    kill_worker: Callable[[], None]


@contextmanager
def embedded(folder: Path) -> Iterator[Deployment]:
    """`secateur-server`: SQLite, local files, a worker that polls, a sender."""
    with running_service(folder / "service.log", QUICK) as service:

        def kill_worker() -> None:
            os.kill(_child_of(service.process_id, "worker"), signal.SIGKILL)

        yield Deployment(service.url, service.key, kill_worker)


@contextmanager
def scale_out(folder: Path, postgres: PostgresServer, broker_url: str, s3: S3Server) -> Iterator[Deployment]:
    """The processes of docker-compose.yml: prepare, web process, sender and Celery worker over real servers."""
    port, key = free_port(), new_key()
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
        "SECATEUR_PORT": str(port),
    }
    subprocess.run(
        [sys.executable, "-m", "app.prepare"], cwd=ROOT, env=_with_folder(environment, folder / "prepare"), check=True
    )
    with ExitStack() as stack:
        web = _with_folder(environment, folder / "web")
        stack.enter_context(running([sys.executable, "-m", "app"], port=port, environment=web))
        sender = _with_folder(environment, folder / "sender")
        stack.enter_context(running([sys.executable, "-m", "sender"], port=None, environment=sender))
        workers = CeleryWorkers(_with_folder(environment, folder / "worker"), folder / "worker.log")
        stack.callback(workers.stop)
        workers.start()
        yield Deployment(f"http://127.0.0.1:{port}", key, workers.replace_killed)


class CeleryWorkers:
    """One Celery worker at a time; when it is killed another takes its place, as an orchestrator does."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log.open("w")

    def start(self) -> None:
        command = [sys.executable, "-m", "celery", "-A", "worker.main", "worker", "-Q", "cpu", "--loglevel", "warning"]
        self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=self._log)

    def replace_killed(self) -> None:
        self._process.kill()
        self._process.wait()
        self.start()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _with_folder(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Give each process a data folder of its own, as containers have."""
    folder.mkdir()
    return environment | {"SECATEUR_DATA_DIR": str(folder)}


def _child_of(process_id: int, module: str) -> int:
    """Find the child that runs `python -m MODULE`; it may be starting again just now."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            if words[1:3] == ["-m", module]:
                return int(child)
        time.sleep(0.05)
    raise TimeoutError(f"Process {process_id} has no child that runs '{module}'.")
