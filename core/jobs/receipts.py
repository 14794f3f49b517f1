"""The receipt for a deleted job: which files went with it, by digest, and when their bytes are gone for good."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.blobs import GRACE
from core.ids import new_id
from core.tables import Artifact, Deletion, Event, Job

ERASED_AFTER: Final = GRACE + timedelta(hours=1)
"""A blob that nobody names is erased by the first sweep after its time of grace; sweeps come every ten minutes."""


def write_receipt(session: Session, job: Job, now: datetime) -> Deletion:
    """Write what is about to be deleted of a job; the row stays when the job is gone."""
    files = session.execute(
        select(Artifact.name, Artifact.role, Artifact.sha256, Artifact.size_bytes)
        .where(Artifact.job_id == job.id)
        .order_by(Artifact.id)
    )
    receipt = Deletion(
        id=new_id("del"),
        project_id=job.project_id,
        job_id=job.id,
        deleted_at=now,
        erased_by=now + ERASED_AFTER,
        events=session.scalar(select(func.count()).where(Event.job_id == job.id)) or 0,
        files=[dict(row._mapping) for row in files],
    )
    session.add(receipt)
    return receipt
