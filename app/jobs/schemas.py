"""What a job looks like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.openapi import ProblemView
from app.words import Labels
from core.tables import JobState
from engine.recipe import Recipe, Strict
from engine.report import Outcome


class JobRequest(Strict):
    """Ask for a smaller network. Without a dataset the repair uses drawn images."""

    model_id: str = Field(max_length=64)
    dataset_id: str | None = Field(default=None, max_length=64)
    recipe: Recipe = Recipe()
    labels: Labels = Field(default_factory=dict, description="Yours to choose; shown with the job.")


class JobLinks(BaseModel):
    self: str
    events: str
    artifacts: str
    candidates: str
    report: str


class JobView(BaseModel):
    """One job. `version` grows with every change; `fraction` never goes back."""

    id: str
    state: JobState
    outcome: Outcome | None
    model_id: str
    dataset_id: str | None
    recipe: Recipe
    labels: dict[str, str]
    device: str
    attempt: int
    retry_of: str | None
    stage: str | None
    fraction: float
    eta_seconds: float | None
    message: str | None
    queue_position: int | None
    error: ProblemView | None
    version: int
    created_at: datetime
    submitted_at: datetime
    validating_at: datetime | None
    queued_at: datetime | None
    running_at: datetime | None
    finalizing_at: datetime | None
    cancelling_at: datetime | None
    finished_at: datetime | None
    links: JobLinks


class JobsPage(BaseModel):
    jobs: list[JobView]
    next_page_token: str | None


class EventView(BaseModel):
    """One line of a job's history; `seq` has no gaps."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class EventsPage(BaseModel):
    events: list[EventView]
