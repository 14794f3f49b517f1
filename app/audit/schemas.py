"""What an entry of the audit log looks like from outside: with the members that its hash is made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class EntryView(BaseModel):
    """One change of state: who, what, when, from where.

    `hash` is the sha256 of all other members as JSON with sorted keys and without spaces, `at` in UTC to the
    microsecond; `previous_hash` is that of the entry before, of the first an empty text. `python -m app.audit` checks.
    """

    organization_id: str
    seq: int = Field(description="Counts the organisation's entries from 1, without a gap.")
    at: datetime
    project_id: str | None
    actor: str = Field(description="The id of a key, or `system`.", examples=["key_admin"])
    actor_name: str
    action: str = Field(examples=["POST /v1/jobs/{job_id}/cancel"])
    target: str = Field(examples=["/v1/jobs/job_01kaq8f3xn7e9r2t5y8v1b4c6d"])
    address: str | None
    request_id: str | None
    details: dict[str, Any]
    previous_hash: str
    hash: str


class AuditPage(BaseModel):
    entries: list[EntryView]
    next_page_token: str | None
