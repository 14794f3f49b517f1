"""What one child may use of the machine, and how much of the disk it has taken."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OPEN_FILES, PROCESSES = 4096, 4096
PAGE_BYTES: Final = 4096


@dataclass(frozen=True)
class ChildLimits:
    """What one child may use; None: as much as there is."""

    wall_seconds: float
    memory_bytes: int | None  # address space; cannot be used with CUDA, which reserves far more than it takes
    disk_bytes: int  # of any one file, enforced by the kernel; of all that its folders hold, watched from here
    grace_seconds: float = 10  # between SIGTERM and SIGKILL

    def as_rlimits(self) -> dict[str, int]:
        cpu_seconds = int(self.wall_seconds + self.grace_seconds + 1) * (os.cpu_count() or 1)
        rlimits = {
            "RLIMIT_CORE": 0,
            "RLIMIT_CPU": cpu_seconds,
            "RLIMIT_FSIZE": self.disk_bytes,
            "RLIMIT_NOFILE": OPEN_FILES,
            "RLIMIT_NPROC": PROCESSES,
        }
        return rlimits if self.memory_bytes is None else {**rlimits, "RLIMIT_AS": self.memory_bytes}


def disk_use(folder: Path, enough_bytes: int) -> int:
    """Return what a folder takes on the disk, a page for each name at least; stop counting past `enough_bytes`."""
    used = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                used += max(PAGE_BYTES, os.lstat(os.path.join(parent, name)).st_blocks * 512)
            except OSError:  # it is gone again
                continue
        if used > enough_bytes:
            break
    return used
