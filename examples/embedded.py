"""Runs a service of its own for one program: the embedded default on a free port, in a folder that is thrown away."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 40


@dataclass(frozen=True)
class Service:
    """Where a running service is, the key to it, and the process that looks after it."""

    url: str
    key: str
    process_id: int


@contextmanager
def running_service(log: Path, settings: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Start `secateur-server`, wait until it has said its address and key, and stop it whatever happens.

    `settings` are variables such as SECATEUR_LEASE_SECONDS; those of the caller's own environment are left out.
    """
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder, log.open("w") as output:
        command = [sys.executable, "-m", "app.serve", "--port", "0", "--data-dir", folder]
        environment = plain_environment() | dict(settings or {})
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            url, key = _wait_for_announcement(process, log)
            yield Service(url, key, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def plain_environment() -> dict[str, str]:
    """Return the environment without settings that are meant for another service of the user's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SECATEUR_")}


def _wait_for_announcement(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        said = log.read_text()
        url, key = re.search(r"listens on (http\S+)", said), re.search(r"Admin key\D*: (\S+)", said)
        if url and key:
            return url[1], key[1]
        time.sleep(0.05)
    raise RuntimeError(f"The service did not start. What it said is in {log}.")
