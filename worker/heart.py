"""The beat of one claim, from a thread of its own: it keeps the lease, tells progress and learns when to stop."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core import jobs
from core.db import Database
from worker.drain import Drain

StopReason = Literal["fenced", "cancelled", "paused", "drained"]

BEATS_PER_LEASE: Final = 6
PROGRESS_SECONDS: Final = 1.0
"""News is stored at most so often."""

STAGES_AT_ONCE: Final = 60
"""An engine that makes up names without end fills no memory of ours."""

Beat = Callable[[Session, Any, jobs.Progress | None], jobs.BeatAnswer]

log = structlog.get_logger()


class Held(Protocol):
    """A claim of whatever kind."""

    @property
    def job_id(self) -> str: ...

    @property
    def lease_seconds(self) -> float: ...


class Heart:
    """Beats from `with` to the end of the block. A worker that cannot beat for a lease holds the job no more."""

    def __init__(self, database: Database, claim: Held, drain: Drain, beat: Beat = jobs.beat) -> None:
        """Hold what `claim` claims; `beat` is how its kind of work says that it is alive."""
        self._database, self._claim, self._drain = database, claim, drain
        self._renew = beat
        self.began_at = time.monotonic()
        self._period = claim.lease_seconds / BEATS_PER_LEASE
        self._progress: jobs.Progress | None = None
        self._begun: list[str] = []
        self._told: jobs.Progress | None = None
        self._beaten_at = time.monotonic()
        self._answer: StopReason | None = None
        self._ended = threading.Event()
        ours = contextvars.copy_context()  # log lines of the beat name the job and its trace as well
        self._thread = threading.Thread(target=ours.run, args=(self._run,), name=f"beat {claim.job_id}", daemon=True)

    def tell(self, progress: jobs.Progress) -> None:
        """Let the next beat carry this, and the names of the stages that were over before it came."""
        if self._begun[-1:] != [progress.stage] and len(self._begun) < STAGES_AT_ONCE:
            self._begun.append(progress.stage)
        self._progress = progress

    def why_stop(self) -> StopReason | None:
        """Return why the work must stop now, or None: the loss of the job counts before its user's wish."""
        if self._answer == "fenced" or time.monotonic() - self._beaten_at > self._claim.lease_seconds - self._period:
            return "fenced"
        return self._answer or ("drained" if self._drain.is_over else None)

    def is_hurried(self) -> bool:
        """Whether what has to stop is not waited for."""
        return self._drain.is_hurried

    def wait(self, seconds: float, *, even_when_stopped: bool = False) -> bool:
        """Sleep, but no longer than the work may go on; False when it must stop.

        `even_when_stopped` is for writing an outcome: then only the loss of the job ends the sleep, or hurry.
        """
        deadline = time.monotonic() + seconds
        while not self._must_stop(even_when_stopped) and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
        return not self._must_stop(even_when_stopped)

    def _must_stop(self, even_when_stopped: bool) -> bool:
        if even_when_stopped:
            return self.is_hurried() or self.why_stop() == "fenced"
        return self.why_stop() is not None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(min(self._period / 4, 0.2)):
            since = time.monotonic() - self._beaten_at
            news = self._progress is not self._told and since >= min(PROGRESS_SECONDS, self._period)
            if news or since >= self._period:
                self._beat()

    def _beat(self) -> None:
        began, progress, stages = time.monotonic(), self._progress, list(self._begun)
        news = replace(progress, passed=tuple(stages[:-1])) if progress and progress is not self._told else None
        try:
            with self._database.transaction() as session:
                answer = self._renew(session, self._claim, news)
        except DBAPIError as error:
            log.warning("beat.failed", job_id=self._claim.job_id, reason=type(error).__name__)
            return
        self._beaten_at, self._told = began, progress
        del self._begun[: max(len(stages) - 1, 0)]  # the last one may go on
        if not answer.still_mine:
            self._answer = "fenced"
        elif answer.cancel_requested:
            self._answer = "cancelled"
        else:  # a pause is no longer wanted once the work is done
            self._answer = "paused" if answer.pause_requested else None
