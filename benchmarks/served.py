"""The servers that the benchmarks of the API start: ours, and those that it is held against."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START_SECONDS = 60


@contextlib.contextmanager
def server(
    arguments: Sequence[str], folder: str, path: str, port: int | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a Python server on a free port, wait for its first answer, and stop it at the end."""
    port = port or free_port()
    process = start(arguments, folder, port)
    try:
        wait_for(port, path)
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


def start(arguments: Sequence[str], folder: str, port: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start a Python server that reads its port from the environment, which may tell it more."""
    told = {"SECATEUR_DATA_DIR": folder, "SECATEUR_PORT": str(port), "UVICORN_PORT": str(port)}
    told |= {"SECATEUR_WEB_DRAIN_SECONDS": "0", **environment}  # at its end nobody asks it any more
    return subprocess.Popen([sys.executable, *arguments], env=os.environ | told, stderr=subprocess.DEVNULL)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(port: int, path: str) -> None:
    """Return when a GET of the path is answered with 200."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as asking:
            asking.request("GET", path)
            if asking.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"no answer on port {port} within {START_SECONDS} s")


def peak_rss_mb(pid: int) -> float:
    """Return the highest resident memory of a process so far."""
    return _memory_mb(pid, "VmHWM")


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return _memory_mb(pid, "VmRSS")


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken so far, in its own code and in the system's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
