"""The one Celery task: a bell. It carries a job's id as a hint and does no work; the lanes look at the jobs table."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery

from core.queue import RING_TASK


def answer_the_bell(app: Celery, wake: Callable[[], None]) -> None:
    """Let a ring wake the lanes of this process."""

    @app.task(name=RING_TASK)  # type: ignore[untyped-decorator]  # Celery has no types
    def ring(_job_id: str) -> None:
        wake()
