"""Models and datasets have states, and workers examine them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("models", "datasets"):
        # What is there already was never examined by itself: its jobs look at it, as they did.
        op.add_column(table, sa.Column("state", sa.String(length=16), nullable=False, server_default="ready"))
        op.add_column(table, sa.Column("error", sa.JSON(), nullable=True))
    op.add_column("models", sa.Column("architecture", sa.JSON(), nullable=True))
    op.add_column("datasets", sa.Column("summary", sa.JSON(), nullable=True))
    op.create_table(
        "examinations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=True),
        sa.Column("dataset_id", sa.String(length=64), nullable=True),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("trouble_count", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "model_id", "dataset_id", "question"),
    )
    op.create_index("examinations_to_claim", "examinations", ["state", "kind", "id"])
    op.create_index("examinations_by_model", "examinations", ["model_id"])
    op.create_index("examinations_by_dataset", "examinations", ["dataset_id"])


def downgrade() -> None:
    op.drop_table("examinations")
    op.drop_column("datasets", "summary")
    op.drop_column("models", "architecture")
    for table in ("models", "datasets"):
        op.drop_column(table, "error")
        op.drop_column(table, "state")
