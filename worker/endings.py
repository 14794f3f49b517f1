"""What to say of a child that went over its limits, whatever it was to do."""

from __future__ import annotations

from core.problems import Problem, job_problem
from worker.isolation import Ending
from worker.limits import ChildLimits


def limit_exceeded(ending: Ending, limits: ChildLimits) -> Problem | None:
    """Return the problem, or None if the child kept its limits."""
    if ending.stopped_for == "timeout":
        return job_problem("job-timeout", f"The engine was stopped when its {limits.wall_seconds:.0f} s were over.")
    if ending.stopped_for == "disk":
        limit = f"{limits.disk_bytes / 1024**3:.1f} GiB"
        return job_problem("disk-limit", f"The engine wrote more than the {limit} it may have on the disk.")
    if not ending.out_of_memory:
        return None
    if limits.memory_bytes is None:
        return job_problem("out-of-memory", "The engine asked for more memory than the GPU or the machine has left.")
    limit = f"{limits.memory_bytes / 1024**3:.1f} GiB"
    return job_problem("out-of-memory", f"The engine asked for more than the {limit} it may use.")
