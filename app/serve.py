"""`secateur-server`: the embedded default on one machine: web process, worker, sender, alive and stopped together.

Holds the listening socket itself, so that a web process that has to be started anew refuses no connection.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.drain import longest_end_seconds
from core.db import open_database, upgrade
from core.keys import ensure_admin_key
from core.settings import Settings

LOOK_SECONDS: Final = 0.1
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 0.5, 30.0
STEADY_SECONDS: Final = 60.0  # who has run so long starts again with the shortest back-off
SPARE_SECONDS: Final = 10.0  # beyond what a child says that its end may take; then it is killed
HURRIED_SECONDS: Final = 5.0
DRAINS: Final = ("web_drain_seconds", "worker_drain_seconds")
LAST_ADMIN_PORT: Final = 65535 - 2
PR_SET_PDEATHSIG: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return 0 when every child has ended, 1 when it could not start.

    The second signal makes it hurry.
    """
    settings = _settings_of(_parse(arguments))
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        print(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Try --port 0.", file=sys.stderr)
        return 1
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.tell())
    upgrade(settings)
    key = _ensure_key(settings)
    children = _children(settings, listener)
    _announce(settings, listener, key)
    _keep_alive(children, stop)
    listener.close()  # the web process has it, and who comes after its end is refused at once
    _stop(children, stop, settings)
    return 0


class Stop:
    """How often this process was told to stop: once is a wish, twice an order.

    A signal's handler tells it, in the middle of whatever the main thread does: there is no lock to be held.
    """

    def __init__(self) -> None:
        self._times = 0

    def tell(self) -> None:
        self._times += 1

    @property
    def is_told(self) -> bool:
        return self._times > 0

    @property
    def is_urgent(self) -> bool:
        return self._times > 1


class Child:
    """A process that is started again when it dies, each time after a longer while."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], descriptors: Sequence[int]) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._descriptors = descriptors
        self._back_off_seconds = FIRST_BACK_OFF_SECONDS
        self._restart_at: float | None = None
        self._start()

    def look_after(self) -> None:
        """Start the process again if it has died and its time has come."""
        now = time.monotonic()
        if self._restart_at is not None:
            if now >= self._restart_at:
                self._start()
        elif (status := self.process.poll()) is not None:
            if now - self._started_at >= STEADY_SECONDS:
                self._back_off_seconds = FIRST_BACK_OFF_SECONDS
            wait = self._back_off_seconds
            print(f"The {self.name} ended with status {status}; starting it again in {wait:.1f} s.", file=sys.stderr)
            self._restart_at = now + wait
            self._back_off_seconds = min(wait * 2, LONGEST_BACK_OFF_SECONDS)

    def send(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def _start(self) -> None:
        self._restart_at = None
        self._started_at = time.monotonic()
        # A group of its own: Ctrl-C reaches this process alone, which then asks each child once.
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            pass_fds=self._descriptors,
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  # this process has no threads
        )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("secateur-server", description="Run Secateur on this machine until stopped.")
    parser.add_argument("--host", help="address to listen on (SECATEUR_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for any free one (SECATEUR_PORT)")
    parser.add_argument("--data-dir", type=Path, help="where everything is kept (SECATEUR_DATA_DIR)")
    return parser.parse_args(arguments)


def _settings_of(options: argparse.Namespace) -> Settings:
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = Settings(**given)
    if settings.admin_port is not None and settings.admin_port > LAST_ADMIN_PORT:
        message = f"SECATEUR_ADMIN_PORT is {settings.admin_port}, and the next two ports are worker's and sender's."
        raise SystemExit(f"{message} Give one up to {LAST_ADMIN_PORT}.")
    # Nobody stands before this one machine to send requests or jobs elsewhere: by itself it waits for nobody.
    drains = {name: 0.0 for name in DRAINS if name not in settings.model_fields_set}
    return settings.model_copy(update={"data_dir": settings.data_dir.resolve(), **drains})


def _listen(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=1024)


def _ensure_key(settings: Settings) -> str | None:
    database = open_database(settings)
    try:
        return ensure_admin_key(database, settings)
    finally:
        database.close()


def _children(settings: Settings, listener: socket.socket) -> list[Child]:
    drains = {f"SECATEUR_{name.upper()}": str(getattr(settings, name)) for name in DRAINS}
    environment = os.environ | {"SECATEUR_DATA_DIR": str(settings.data_dir), **drains}
    web = [sys.executable, "-m", "app", "--listen-descriptor", str(listener.fileno())]
    return [
        Child("web process", web, environment | _admin_port(settings, 0), [listener.fileno()]),
        Child("worker", [sys.executable, "-m", "worker"], environment | _admin_port(settings, 1), []),
        Child("sender", [sys.executable, "-m", "sender"], environment | _admin_port(settings, 2), []),
    ]


def _admin_port(settings: Settings, further: int) -> dict[str, str]:
    """Give each child a port of its own for its metrics, where one is asked for."""
    port = settings.admin_port
    return {} if port is None else {"SECATEUR_ADMIN_PORT": str(port and port + further)}


def _announce(settings: Settings, listener: socket.socket, key: str | None) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    print(f"Secateur listens on {url} (dashboard: {url}/admin), data in {settings.data_dir}", flush=True)
    if key is not None:
        print(f"Admin key, shown this once: {key}", flush=True)


def _keep_alive(children: Sequence[Child], stop: Stop) -> None:
    while not stop.is_told:
        for child in children:
            child.look_after()
        time.sleep(LOOK_SECONDS)


def _stop(children: Sequence[Child], stop: Stop, settings: Settings) -> None:
    """End web process and worker, who take nothing new from now on, and then the sender, who tells what they did."""
    web, worker, sender = children
    worker_seconds = settings.worker_drain_seconds + settings.stop_grace_seconds
    _end([web, worker], stop, max(longest_end_seconds(settings), worker_seconds) + SPARE_SECONDS)
    _end([sender], stop, settings.webhook_timeout_seconds + SPARE_SECONDS)


def _end(children: Sequence[Child], stop: Stop, patience_seconds: float) -> None:
    """Ask every child to end, once more where that is urgent; one that does not is killed."""
    for child in children:
        child.send(signal.SIGTERM)
    deadline, is_hurried = time.monotonic() + patience_seconds, False
    while running := [child for child in children if child.process.poll() is None]:
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        if stop.is_urgent and not is_hurried:
            is_hurried, deadline = True, min(deadline, now + HURRIED_SECONDS)
            for child in running:
                child.send(signal.SIGTERM)
        if now > deadline:
            for child in running:
                print(f"The {child.name} did not end in time and is killed.", file=sys.stderr)
                child.send(signal.SIGKILL)
                child.process.wait()


_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Have the kernel end this child should its parent be killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
