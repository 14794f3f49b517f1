"""A job keeps what it was expected to take, so that what stands before another is added up along one index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CLAIMED_BY = ["state", "device", "project_id", "priority", "id"]
PRICES = ["price_seconds", "price_late_seconds"]
DELIVERY_SECONDS = 120.0


def upgrade() -> None:
    for name in PRICES:
        op.add_column("jobs", sa.Column(name, sa.Double(), nullable=True))
    jobs = sa.table("jobs", sa.column("state"), sa.column("recipe", sa.JSON()), *(sa.column(name) for name in PRICES))
    budget = jobs.c.recipe["budget_seconds"].as_float()
    ended = ("succeeded", "rejected", "failed", "cancelled", "expired")
    prices = {"price_seconds": budget, "price_late_seconds": budget + DELIVERY_SECONDS}
    op.execute(sa.update(jobs).where(jobs.c.state.not_in(ended)).values(prices))
    op.drop_index("jobs_to_claim", table_name="jobs")
    op.create_index("jobs_to_claim", "jobs", [*CLAIMED_BY, *PRICES])


def downgrade() -> None:
    op.drop_index("jobs_to_claim", table_name="jobs")
    op.create_index("jobs_to_claim", "jobs", CLAIMED_BY)
    for name in PRICES:
        op.drop_column("jobs", name)
