"""What clients have uploaded: networks and sets of images, and what workers are to find out about them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class FileState(StrEnum):
    """Of an uploaded network or set of images."""

    VALIDATING = "validating"
    READY = "ready"
    REJECTED = "rejected"


class StoredModel(Row):
    """An uploaded network, as a file. `analysis` is what the engine's inspection found; `error` why it is no use."""

    __tablename__ = "models"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="ready", server_default="ready")
    architecture: Mapped[dict[str, Any] | None]  # whose weights these are, where the file holds no graph
    analysis: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("models_by_project", "project_id", "id"), Index("models_by_sha256", "sha256"))


class Dataset(Row):
    """An uploaded set of calibration images, as a file; `summary` is what the engine found in it."""

    __tablename__ = "datasets"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="ready", server_default="ready")
    summary: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("datasets_by_project", "project_id", "id"), Index("datasets_by_sha256", "sha256"))


class Examination(Row):
    """Something that a worker is to find out about uploaded files, once; both answer and error are kept.

    `question` tells two of one kind on the same files apart: what else was asked, as a digest.
    """

    __tablename__ = "examinations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(16))  # model, dataset, report
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    question: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[dict[str, Any]]
    traceparent: Mapped[str | None] = mapped_column(String(55))  # of the request that asked, see core.tracing
    state: Mapped[str] = mapped_column(String(16))  # waiting, running, done
    answer: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    attempt: Mapped[int] = mapped_column(default=0)
    trouble_count: Mapped[int] = mapped_column(default=0)  # attempts that did not end as they should
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        Index("examinations_to_claim", "state", "kind", "id"),
        Index("examinations_by_model", "model_id"),
        Index("examinations_by_dataset", "dataset_id"),
        UniqueConstraint("kind", "model_id", "dataset_id", "question"),
    )
