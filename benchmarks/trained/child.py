"""Programs run to their end: how long they took, how much of the processors' time, and the most memory at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

_KIBIBYTE = 1024
_ERROR_CHARACTERS = 2000


@dataclass(frozen=True)
class Ended:
    """`error` is None where the program succeeded, else the last that it said; `peak_bytes` were resident at most."""

    seconds: float
    cpu_seconds: float
    error: str | None
    peak_bytes: int = 0


def run_module(module: str, arguments: Sequence[str]) -> Ended:
    """Run `python -m module` as a user would; times and memory are its own and its children's."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as said, tempfile.TemporaryFile("w+", errors="replace") as told:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=said, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        told.seek(0)
        lines = [line for line in (*told.read().splitlines(), *said.read().splitlines()) if line.strip()]
    error = " ".join(lines[-1:])[-_ERROR_CHARACTERS:] or f"code {process.returncode}"
    return Ended(
        seconds=round(time.monotonic() - started, 1),
        cpu_seconds=round(used.ru_utime + used.ru_stime, 1),
        error=error if process.returncode else None,
        peak_bytes=used.ru_maxrss * _KIBIBYTE,
    )
