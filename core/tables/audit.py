"""Who changed what and when, a chain of hashes for each organisation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class AuditEntry(Row):
    """One change of state: who, what, when, from where; `hash` is over all of it and the hash of the entry before."""

    __tablename__ = "audit"
    organization_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime]
    project_id: Mapped[str | None] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(64))  # a key's id, or `system`
    actor_name: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(300))  # POST /v1/jobs/{job_id}/cancel
    target: Mapped[str] = mapped_column(String(500))  # /v1/jobs/job_…
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    __table_args__ = (Index("audit_by_project", "organization_id", "project_id", "seq"),)
