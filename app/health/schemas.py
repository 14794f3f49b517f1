"""What health looks like from outside."""

from __future__ import annotations

from pydantic import BaseModel


class Alive(BaseModel):
    status: str


class HealthCheck(BaseModel):
    """One thing that the service needs."""

    ok: bool
    detail: str


class Ready(BaseModel):
    status: str
    checks: dict[str, HealthCheck]
