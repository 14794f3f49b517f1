"""Priorities, deadlines, pauses, forecasts and labels of jobs; whose turn it is; receipts; keys that sign manifests."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JOBS = sa.table("jobs", sa.column("id"), sa.column("project_id"), sa.column("labels", sa.JSON))
LABELS = sa.table("job_labels", *(sa.column(name) for name in ("job_id", "name", "value", "project_id")))


def upgrade() -> None:
    _widen_jobs()
    _make_labels()
    op.create_table(
        "turns",
        sa.Column("lane", sa.String(length=16), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.PrimaryKeyConstraint("lane", "project_id"),
    )
    op.create_table(
        "deletions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deletions_by_project", "deletions", ["project_id", "id"])
    op.create_index("deletions_by_job", "deletions", ["job_id"])
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _widen_jobs() -> None:
    for column in _new_columns():
        op.add_column("jobs", column)
    op.drop_index("jobs_to_claim", "jobs")
    op.create_index("jobs_to_claim", "jobs", ["state", "device", "project_id", "priority", "id"])
    op.create_index("jobs_by_kind", "jobs", ["project_id", "kind", "state", "id"])


def _new_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("kind", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("eta_p90_seconds", sa.Double(), nullable=True),
        sa.Column("stages", sa.JSON(), nullable=True),
        sa.Column("forecast", sa.JSON(), nullable=True),
        sa.Column("eta_samples", sa.JSON(), nullable=True),
        sa.Column("pause_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("pausing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
    )


def _make_labels() -> None:
    """Copy the labels that jobs have already, so that they are found by them, too."""
    op.create_table(
        "job_labels",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.PrimaryKeyConstraint("job_id", "name"),
    )
    op.create_index("labels_by_value", "job_labels", ["project_id", "name", "value", "job_id"])
    connection = op.get_bind()
    rows = [
        {"job_id": job_id, "name": name, "value": str(value), "project_id": project_id}
        for job_id, project_id, labels in connection.execute(sa.select(JOBS.c.id, JOBS.c.project_id, JOBS.c.labels))
        for name, value in (labels or {}).items()
    ]
    if rows:
        connection.execute(sa.insert(LABELS), rows)


def downgrade() -> None:
    for table in ("signing_keys", "deletions", "turns", "job_labels"):
        op.drop_table(table)
    op.drop_index("jobs_by_kind", "jobs")
    op.drop_index("jobs_to_claim", "jobs")
    op.create_index("jobs_to_claim", "jobs", ["state", "device", "id"])
    for column in _new_columns():
        op.drop_column("jobs", column.name)
