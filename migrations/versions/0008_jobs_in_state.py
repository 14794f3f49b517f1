"""A project's jobs of one state are one range of an index, however few and old they are."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("jobs_in_state", "jobs", ["project_id", "state", "id"])


def downgrade() -> None:
    op.drop_index("jobs_in_state", table_name="jobs")
