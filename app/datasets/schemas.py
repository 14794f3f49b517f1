"""What the doctor's report looks like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from app.openapi import ProblemView
from engine.diagnosis import Diagnosis


class ReportView(BaseModel):
    """The doctor's report on a dataset for one network. It is made once and kept; `error` says why it could not be."""

    dataset_id: str
    model_id: str
    state: Literal["waiting", "running", "done"]
    error: ProblemView | None
    report: Diagnosis | None
    created_at: datetime
    finished_at: datetime | None
