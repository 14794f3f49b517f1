"""A job keeps what it was expected to take, so that what stands before another is added up along one index.

The index `jobs_to_claim` is made anew, over all jobs: on PostgreSQL nothing writes to the table until that is done.
"""

from __future__ import annotations

from typing import Any

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
    told = (sa.column(name, sa.JSON()) for name in ("recipe", "forecast"))
    jobs = sa.table("jobs", sa.column("state"), *told, *(sa.column(name, sa.Double()) for name in PRICES))
    ended = ("succeeded", "rejected", "failed", "cancelled", "expired")
    op.execute(sa.update(jobs).where(jobs.c.state.not_in(ended)).values(_prices(jobs.c.recipe, jobs.c.forecast)))
    op.drop_index("jobs_to_claim", table_name="jobs")
    op.create_index("jobs_to_claim", "jobs", [*CLAIMED_BY, *PRICES])


def _prices(recipe: sa.ColumnElement[Any], forecast: sa.ColumnElement[Any]) -> dict[str, sa.ColumnElement[float]]:
    """Return what past jobs took, up to what a job may take, or else its budget; null where neither is known."""
    budget = recipe["budget_seconds"].as_float()
    limit = sa.func.coalesce(forecast["limit_seconds"].as_float(), budget + DELIVERY_SECONDS)
    found: dict[str, sa.ColumnElement[float]] = {}
    for place, (name, unknown) in enumerate(zip(PRICES, (limit - DELIVERY_SECONDS, limit), strict=True)):
        taken = forecast[("run", place)].as_float()
        found[name] = sa.case((taken.is_(None), unknown), (taken > limit, limit), else_=taken)
    return found


def downgrade() -> None:
    op.drop_index("jobs_to_claim", table_name="jobs")
    op.create_index("jobs_to_claim", "jobs", CLAIMED_BY)
    for name in PRICES:
        op.drop_column("jobs", name)
