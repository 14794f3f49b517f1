"""The words of a job's life: its states, the moves between them, a worker's claim, what can go wrong. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from core.settings import Settings
from core.tables import JobState

S = JobState

MOVES: Final[dict[JobState, frozenset[JobState]]] = {
    S.SUBMITTED: frozenset({S.VALIDATING, S.PAUSED, S.CANCELLED, S.EXPIRED}),
    S.VALIDATING: frozenset({S.QUEUED, S.REJECTED, S.FAILED, S.SUBMITTED, S.PAUSING, S.CANCELLING}),
    S.QUEUED: frozenset({S.RUNNING, S.PAUSED, S.CANCELLED, S.EXPIRED}),
    S.RUNNING: frozenset({S.FINALIZING, S.SUCCEEDED, S.FAILED, S.QUEUED, S.PAUSING, S.CANCELLING}),
    S.PAUSING: frozenset({S.PAUSED, S.FINALIZING, S.SUCCEEDED, S.REJECTED, S.FAILED, S.CANCELLING}),
    S.PAUSED: frozenset({S.SUBMITTED, S.QUEUED, S.CANCELLED, S.EXPIRED}),
    S.FINALIZING: frozenset({S.SUCCEEDED, S.FAILED, S.QUEUED, S.CANCELLING}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.REJECTED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
    S.EXPIRED: frozenset(),
}
"""From each state, the states that may follow."""

TERMINAL: Final = frozenset(state for state, following in MOVES.items() if not following)
WAITING: Final = frozenset({S.SUBMITTED, S.QUEUED, S.PAUSED})
"""The states in which nobody holds the job: what is asked of it is done at once."""

LEASED: Final = frozenset({S.VALIDATING, S.RUNNING, S.PAUSING, S.FINALIZING, S.CANCELLING})
"""The states in which one worker holds the job."""

CLAIMED_AS: Final = {S.SUBMITTED: S.VALIDATING, S.QUEUED: S.RUNNING}
GIVEN_BACK_AS: Final = {S.VALIDATING: S.SUBMITTED, S.RUNNING: S.QUEUED, S.FINALIZING: S.QUEUED}


class JobNotFound(LookupError):
    """No such job in this project."""


class DeadlinePassed(ValueError):
    """The moment by which the job should have begun is over already."""


class StateConflict(Exception):
    """The job is in a state that does not allow what was asked."""

    def __init__(self, job_id: str, found: str, wanted: str) -> None:
        super().__init__(f"Job {job_id} is {found}; it cannot become {wanted}.")
        self.found, self.wanted = found, wanted


class LeaseLost(Exception):
    """The job is no longer this worker's: it was given to another, or it has ended. Write nothing, stop the child."""


@dataclass(frozen=True)
class Limits:
    """How often a job may be tried again, and how soon."""

    crash_limit: int
    interrupt_limit: int
    retry_seconds: float  # doubled with every crash or fault
    fault_limit: int = 10

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(settings.crash_limit, settings.interrupt_limit, settings.lease_seconds / 6, settings.fault_limit)


@dataclass(frozen=True)
class Claim:
    """One worker's right to one job, and what it needs to know to do it."""

    job_id: str
    project_id: str
    attempt: int
    worker_id: str
    state: JobState  # validating or running
    device: str
    recipe: dict[str, Any]
    model_id: str
    model_name: str
    model_sha256: str
    dataset_id: str | None
    dataset_name: str | None
    dataset_sha256: str | None
    lease_seconds: float
    waited_seconds: float = 0.0  # by the database's clock, since the job came into the state that it was claimed from
    traceparent: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far the engine is; `fraction` is of the whole job, `stage_fraction` of the stage, both 0 to 1.

    `passed` are stages that began and ended since something was stored last.
    """

    stage: str
    fraction: float
    eta_seconds: float | None = None
    message: str | None = None
    stage_fraction: float | None = None
    passed: tuple[str, ...] = ()


class BeatAnswer(NamedTuple):
    still_mine: bool
    cancel_requested: bool
    pause_requested: bool = False


@dataclass(frozen=True)
class Delivered:
    """A file that is already in storage and becomes an artifact of the job."""

    name: str
    role: str
    media_type: str
    sha256: str
    size_bytes: int


class Lease(NamedTuple):
    """Who holds a job, and until when."""

    job_id: str
    attempt: int
    worker_id: str
    expires_at: datetime
