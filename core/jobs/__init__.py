"""The only place that writes a job's state, as the moves in `core.jobs.words` allow.

A worker's write is guarded by its `Claim`: the attempt's number grows with every claim, so a worker that was given up
for dead and comes back finds another number in the row and is refused (`LeaseLost`). Every function works inside the
caller's transaction; the row, its event and its bell are written together or not at all.
"""

from __future__ import annotations

from core.jobs.leases import beat, claim, crashed, faulted, overdue, reap, release
from core.jobs.life import (
    cancelled,
    expire,
    expire_late,
    expire_unserved,
    fail,
    finalize,
    finish,
    forget,
    paused,
    reject,
    remove,
    request_cancel,
    request_pause,
    resume,
    submit,
    validated,
)
from core.jobs.words import (
    LEASED,
    MOVES,
    TERMINAL,
    WAITING,
    BeatAnswer,
    Claim,
    DeadlinePassed,
    Delivered,
    JobNotFound,
    Lease,
    LeaseLost,
    Limits,
    Progress,
    StateConflict,
)

__all__ = [
    "LEASED",
    "MOVES",
    "TERMINAL",
    "WAITING",
    "BeatAnswer",
    "Claim",
    "DeadlinePassed",
    "Delivered",
    "JobNotFound",
    "Lease",
    "LeaseLost",
    "Limits",
    "Progress",
    "StateConflict",
    "beat",
    "cancelled",
    "claim",
    "crashed",
    "expire",
    "expire_late",
    "expire_unserved",
    "fail",
    "faulted",
    "finalize",
    "finish",
    "forget",
    "overdue",
    "paused",
    "reap",
    "reject",
    "release",
    "remove",
    "request_cancel",
    "request_pause",
    "resume",
    "submit",
    "validated",
]
