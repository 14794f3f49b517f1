"""What a job looks like from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.openapi import ProblemView
from app.words import Labels
from core.tables import JobState
from engine.recipe import Recipe, Strict
from engine.report import Outcome

LAST_DEADLINE = datetime(9000, 1, 1, tzinfo=UTC)
"""The last days of the calendar have no equivalent in other time zones."""

Priority = Annotated[
    int,
    Field(
        strict=True, ge=-100, le=100, description="Among the project's own jobs, more is sooner; projects take turns."
    ),
]


class JobRequest(Strict):
    """Ask for a smaller network. Without a dataset the repair uses drawn images."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model_id": "mod_01kaq8d5f1g3h5j7k9m2n4p6q8",
                    "dataset_id": "dat_01kaq8d6h2k4m6p8r1t3v5w7y9",
                    "recipe": {"target": {"latency_ratio": 0.7}, "budget_seconds": 900},
                    "labels": {"team": "vision"},
                },
            ]
        }
    )

    model_id: str = Field(max_length=64)
    dataset_id: str | None = Field(default=None, max_length=64)
    recipe: Recipe = Recipe()
    labels: Labels = Field(default_factory=dict, description="Yours to choose; the list of jobs can be asked by them.")
    priority: Priority = 0
    deadline: Annotated[AwareDatetime, Field(lt=LAST_DEADLINE)] | None = Field(
        default=None, description="A job that no worker has begun by then ends as `expired`, with `deadline-passed`."
    )


_ADDRESS = "/v1/jobs/job_01kaq8e0a2s4d6f8g1h3j5k7m9"
_BEHIND = ("events", "log", "artifacts", "candidates", "report", "manifest")
_LINKS: dict[str, Any] = {"self": _ADDRESS} | {name: f"{_ADDRESS}/{name}" for name in _BEHIND}


class JobLinks(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_LINKS]})

    self: str
    events: str
    log: str
    artifacts: str
    candidates: str
    report: str
    manifest: str


class StageView(BaseModel):
    """One part of the work of the newest run; `fraction` of the stage, 0 to 1."""

    name: str
    fraction: float
    started_at: datetime
    ended_at: datetime | None


class Eta(BaseModel):
    """Seconds to the end of the job, its wait included; null where nothing is known.

    Half of all jobs are over by `p50_seconds`, nine of ten by `p90_seconds`. `past_jobs` is how many jobs of the
    project, of the same kind, that is taken from; with 0 the interval is wide.
    """

    p50_seconds: float | None
    p90_seconds: float | None
    past_jobs: int


class JobView(BaseModel):
    """One job. `version` grows with every change; `fraction` never goes back.

    There is one time for each state that the job was in; `finished_at` is that of the state in which it ended.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"state": "running", "stage": "recover", "fraction": 0.62, "message": "step 180 of 400"}]
        }
    )

    id: str
    state: JobState
    outcome: Outcome | None
    model_id: str
    dataset_id: str | None
    recipe: Recipe
    labels: dict[str, str]
    priority: int
    deadline: datetime | None
    device: str
    attempt: int
    retry_of: str | None
    stage: str | None
    fraction: float
    stages: list[StageView]
    eta: Eta
    eta_seconds: float | None = Field(description="The same as `eta.p50_seconds`.")
    message: str | None
    queue_position: int | None = Field(description="1 for the job of its device that is next; null once it runs.")
    error: ProblemView | None
    version: int
    created_at: datetime
    submitted_at: datetime
    validating_at: datetime | None
    queued_at: datetime | None
    running_at: datetime | None
    pausing_at: datetime | None
    paused_at: datetime | None
    finalizing_at: datetime | None
    cancelling_at: datetime | None
    finished_at: datetime | None
    links: JobLinks


class JobsPage(BaseModel):
    jobs: list[JobView]
    next_page_token: str | None


class DeletedFile(BaseModel):
    name: str
    role: str
    sha256: str
    size_bytes: int


class ReceiptView(BaseModel):
    """What was deleted with a job. Bytes that nothing else names are gone from the store by `erased_by`."""

    id: str
    job_id: str
    deleted_at: datetime
    erased_by: datetime
    events: int
    files: list[DeletedFile]


class EventView(BaseModel):
    """One line of a job's history; `seq` has no gaps."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class EventsPage(BaseModel):
    events: list[EventView]
