"""The bells that are still to be rung, and the workers that hear them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class Outbox(Row):
    """A bell that is still to be rung, written in the same transaction as the row it tells of; gone once it is rung."""

    __tablename__ = "outbox"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Worker(Row):
    """A worker process, alive while `seen_at` is fresh. Boot id, pid and start time tell at once when it is gone."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    boot_id: Mapped[str] = mapped_column(String(64))
    pid: Mapped[int]
    pid_started: Mapped[str] = mapped_column(String(32))
    devices: Mapped[list[str]]
    sandbox: Mapped[str] = mapped_column(String(16))  # what its children run under: bubblewrap or limits
    job_id: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
