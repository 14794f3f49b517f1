"""What jobs deliver, and the keys that vouch for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class Artifact(Row):
    """A file that a job delivered."""

    __tablename__ = "artifacts"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    name: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(32))  # model, report, log; of a front candidate, plot
    media_type: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("job_id", "name"),
        Index("artifacts_by_sha256", "sha256"),
        Index("artifacts_by_project", "project_id", "sha256", "size_bytes"),
    )


class SigningKey(Row):
    """The public half of a key that manifests were signed with; the private half is made from the pepper."""

    __tablename__ = "signing_keys"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    public_key: Mapped[str] = mapped_column(String(64))  # Ed25519, 32 bytes in base64
    created_at: Mapped[datetime]
