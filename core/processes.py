"""Which process is which, so that a dead worker is known at once by others on the same machine. Linux's /proc only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A process for good: a pid is used again, but not with the same start time in the same boot."""

    boot_id: str  # of the machine's run, with the pid namespace: two containers have pids of their own
    pid: int
    started: str  # clock ticks since boot, as /proc has them

    @property
    def is_ours_to_judge(self) -> bool:
        """Whether this process would be visible from here."""
        return self.boot_id == _boot_id()

    @property
    def is_gone(self) -> bool:
        """Whether this process surely runs no more. False where that cannot be seen from here."""
        return self.is_ours_to_judge and _start_of(self.pid) != self.started


def this_process() -> ProcessIdentity:
    pid = os.getpid()
    return ProcessIdentity(_boot_id(), pid, _start_of(pid) or "")


def _boot_id() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _start_of(pid: int) -> str | None:
    """Return the start time of a process that runs; None when there is none, or only its remains."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = line.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if state in {"Z", "X"} else fields[18]
