"""The report of a job as it is stored, and as the vocabulary of this version of the engine reads it."""

from __future__ import annotations

from pydantic import ValidationError

from app.deps import Tenant
from app.errors import Problem
from core.db import Record
from core.queries import job_report_statement
from engine.report import Report


async def report_row(tenant: Tenant, job_id: str) -> Record:
    """Return state and report of a job that has one. Raises `not-found`."""
    row = await tenant.get(job_report_statement, "job", job_id, job_id=job_id)
    if row["report"] is None:
        message = f"Job {job_id} is {row['state']} and has no report. A report is there once a job has succeeded."
        raise Problem("not-found", message)
    return row


async def read_report(tenant: Tenant, job_id: str) -> Report:
    """Return a job's report. Raises `not-found`, also for one that another version of the service wrote."""
    row = await report_row(tenant, job_id)
    try:
        return Report.model_validate(row["report"])
    except ValidationError as error:
        message = f"The report of {job_id} was written by another version of the service. Download its report.json."
        raise Problem("not-found", message) from error
