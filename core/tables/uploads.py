"""Bytes: those on their way in, and those that are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class Blob(Row):
    """Immutable bytes in storage, named by their sha256."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    touched_at: Mapped[datetime | None]  # when somebody was last about to store and name these bytes


class Upload(Row):
    """Bytes on their way in; `offset_bytes` are safely kept. An upload with an `error` takes no more."""

    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str | None] = mapped_column(String(16))  # model or dataset, where the client has said so
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    offset_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    writer: Mapped[str | None] = mapped_column(String(32))  # the one request whose bytes count
    multipart_id: Mapped[str | None] = mapped_column(String(1024))  # the store's name for parts that gather there
    part_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of each part but the last, where the client puts them
    tus_metadata: Mapped[str | None] = mapped_column(Text)  # what a tus client wants to be told again
    error: Mapped[dict[str, Any] | None]
    expected_sha256: Mapped[str | None] = mapped_column(String(64))
    sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    __table_args__ = (Index("uploads_by_sha256", "sha256"),)
