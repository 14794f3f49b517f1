"""Uploads of a kind, of one writer, in parts in the store, that may fail, and from tus clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("kind", sa.String(length=16), nullable=True))
    op.add_column("uploads", sa.Column("writer", sa.String(length=32), nullable=True))
    op.add_column("uploads", sa.Column("multipart_id", sa.String(length=1024), nullable=True))
    op.add_column("uploads", sa.Column("part_bytes", sa.BigInteger(), nullable=True))
    op.add_column("uploads", sa.Column("tus_metadata", sa.Text(), nullable=True))
    op.add_column("uploads", sa.Column("error", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    for name in ("error", "tus_metadata", "part_bytes", "multipart_id", "writer", "kind"):
        op.drop_column("uploads", name)
