"""Programs run to their end: how long they took by the clock on the wall, and how much of the processors' time."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """`error` is None where the program succeeded, else the last that it said."""

    seconds: float
    cpu_seconds: float
    error: str | None


def run_module(module: str, arguments: Sequence[str]) -> Ended:
    """Run `python -m module` as a user would; nothing else that this process started may run meanwhile."""
    started, used = time.monotonic(), _cpu_seconds()
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    lines = [line for line in (*done.stderr.splitlines(), *done.stdout.splitlines()) if line.strip()]
    error = " ".join(lines[-1:])[-600:] or f"code {done.returncode}"
    return Ended(
        seconds=round(time.monotonic() - started, 1),
        cpu_seconds=round(_cpu_seconds() - used, 1),
        error=error if done.returncode else None,
    )


def _cpu_seconds() -> float:
    """Return what all ended children of this process have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
