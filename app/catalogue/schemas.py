"""What the catalogue tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class MethodView(BaseModel):
    """A way to choose what to cut; `schema` is the JSON schema of a recipe's `method`."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    description: str
    json_schema: dict[str, Any] = Field(alias="schema")


class MethodsList(BaseModel):
    methods: list[MethodView]


class ProblemKind(BaseModel):
    """What is the same in every problem of one code. `explanation` says what it means and what to do."""

    type: str = Field(examples=["/problems/not-found"])
    title: str = Field(examples=["There is no such thing here"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["not-found"])
    retryable: bool
    explanation: str = Field(examples=["There is no such path, or the project has nothing with this id. Check both."])


class Limits(BaseModel):
    """How big, how long, how often; what goes beyond is refused with a problem that names the limit."""

    max_upload_bytes: int
    upload_max_age_seconds: int
    max_request_bytes: int
    requests_per_minute: int | None
    retention_days: int
    webhooks_per_project: int


class Me(BaseModel):
    """The key that asked."""

    organization_id: str
    project_id: str
    key_id: str
    key_name: str
    scopes: list[str]
    expires_at: datetime | None
