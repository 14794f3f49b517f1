"""What organisations, projects and their limits look like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.keys.schemas import NewKeyView
from app.words import Name
from engine.recipe import Strict

Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Amount = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Rate = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
Days = Annotated[int, Field(strict=True, ge=1, le=36_500)]


def _nothing() -> None:
    """Stand for what is left out: a default would be in the OpenAPI document, and generated clients would send it."""


class LimitsRequest(Strict):
    """Set limits; null lifts one, and what is not named stays as it is."""

    stored_bytes: Amount | None = Field(default_factory=_nothing)
    jobs_waiting: Count | None = Field(default_factory=_nothing)
    jobs_running: Count | None = Field(default_factory=_nothing)
    compute_seconds_per_month: Amount | None = Field(default_factory=_nothing)
    requests_per_minute: Rate | None = Field(default_factory=_nothing)
    retention_days: Days | None = Field(default_factory=_nothing)


class LimitsView(BaseModel):
    """What may be had at most; null: no limit is set here.

    `requests_per_minute` is of each key. Ended jobs are forgotten after `retention_days`, and so long a job may wait.
    """

    stored_bytes: int | None
    jobs_waiting: int | None
    jobs_running: int | None
    compute_seconds_per_month: int | None
    requests_per_minute: int | None
    retention_days: int | None


class OrganizationRequest(Strict):
    """Make an organisation, with a project of the same name and its first key."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Example Ltd", "limits": {"stored_bytes": 10**11}}]}
    )

    name: Name
    limits: LimitsRequest = Field(default_factory=LimitsRequest)


class ProjectRequest(Strict):
    """Make a project. `organization_id` is for the operator; without it, the project is of the key's organisation."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Line 4", "limits": {"jobs_running": 2}}]})

    name: Name
    limits: LimitsRequest = Field(default_factory=LimitsRequest)
    organization_id: str | None = Field(default=None, max_length=64)


class Change(Strict):
    """Change the name, limits, or both, and leave the rest."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limits": {"jobs_running": 2}}]})

    name: Name = Field(default_factory=str)
    limits: LimitsRequest = Field(default_factory=LimitsRequest)


class OrganizationView(BaseModel):
    """An organisation; its limits bind each of its projects. The operator sets them."""

    id: str
    name: str
    created_at: datetime
    limits: LimitsView


class ProjectView(BaseModel):
    """A project: everything that a key makes belongs to its project. `limits` are those that it sets itself."""

    id: str
    organization_id: str
    name: str
    created_at: datetime
    limits: LimitsView


class NewOrganizationView(OrganizationView):
    """The key has the scopes `admin` and `organization:admin`. It is shown in this one answer and never again."""

    project: ProjectView
    admin_key: NewKeyView


class OrganizationsPage(BaseModel):
    organizations: list[OrganizationView]
    next_page_token: str | None


class ProjectsPage(BaseModel):
    projects: list[ProjectView]
    next_page_token: str | None


class ComputeView(BaseModel):
    """How long workers ran the project's jobs on one kind of device, in ended attempts."""

    device: str
    seconds: float
    attempts: int


class NowView(BaseModel):
    """What the project has at this moment; the compute time is of this month, that of running jobs included."""

    stored_bytes: int
    jobs_waiting: int
    jobs_running: int
    compute_seconds_per_month: float


class UsageView(BaseModel):
    """What a project has, what it may have, and what a month's jobs took; months are of UTC.

    `limits` are those in force: the stricter of the project's and its organisation's, and the server's own.
    """

    project_id: str
    now: NowView
    limits: LimitsView
    month: str = Field(examples=["2026-11"])
    compute: list[ComputeView]
