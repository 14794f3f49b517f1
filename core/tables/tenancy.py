"""Who: organisations, their projects with what these may have and have used, and their keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row

DEFAULT_ORGANIZATION_ID = "org_default"
"""Made by the migrations: what was there before organisations were, and all of an installation that needs but one."""


class Limited:
    """What a project may have; null: nothing is said here. `core.limits` knows what follows from it."""

    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_jobs_waiting: Mapped[int | None]
    max_jobs_running: Mapped[int | None]
    max_compute_seconds_per_month: Mapped[int | None] = mapped_column(BigInteger)
    max_requests_per_minute: Mapped[int | None]
    max_retention_days: Mapped[int | None]


class Organization(Limited, Row):
    """A customer: projects, and one chain of audit entries, whose end `audit_seal` vouches for (`core.audit`)."""

    __tablename__ = "organizations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    audit_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    audit_hash: Mapped[str] = mapped_column(String(64), default="")
    audit_seal: Mapped[str] = mapped_column(String(64), default="")


class Project(Limited, Row):
    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    # No foreign key: SQLite adds none to a table that others refer to, and no organisation is ever deleted.
    organization_id: Mapped[str] = mapped_column(String(64), default=DEFAULT_ORGANIZATION_ID)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    __table_args__ = (Index("projects_by_organization", "organization_id", "id"),)


class ApiKey(Row):
    """A key as a keyed hash; the key itself is shown once and never stored."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    key_hash: Mapped[str] = mapped_column(String(64))
    pepper_id: Mapped[str] = mapped_column(String(16))  # tells which secret `key_hash` was made with
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute: it is not written with every request


class ComputeUsage(Row):
    """How long workers held a project's running jobs in one month of UTC, written when an attempt ends."""

    __tablename__ = "compute_usage"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)  # 2026-11
    device: Mapped[str] = mapped_column(String(16), primary_key=True)
    seconds: Mapped[float]
    attempts: Mapped[int]
