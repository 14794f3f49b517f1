"""Organisations over projects, limits, last use of keys, compute time, and the audit log, whose entries never change.

What was there before becomes part of the organisation `default`; its keys keep their scopes and go on working.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DEFAULT_ORGANIZATION_ID = "org_default"
SAY = "an entry of the audit log never changes"
LIMITS = (
    ("max_stored_bytes", sa.BigInteger()),
    ("max_jobs_waiting", sa.Integer()),
    ("max_jobs_running", sa.Integer()),
    ("max_compute_seconds_per_month", sa.BigInteger()),
    ("max_requests_per_minute", sa.Integer()),
    ("max_retention_days", sa.Integer()),
)


def upgrade() -> None:
    _make_organizations()
    op.add_column("api_keys", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("artifacts_by_project", "artifacts", ["project_id", "sha256", "size_bytes"])
    op.create_table(
        "compute_usage",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("device", sa.String(length=16), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "month", "device"),
    )
    op.create_table(
        "audit",
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=300), nullable=False),
        sa.Column("target", sa.String(length=500), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "seq"),
    )
    op.create_index("audit_by_project", "audit", ["organization_id", "project_id", "seq"])
    _forbid_changes_of_entries()


def downgrade() -> None:
    op.drop_table("audit")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_change_of_audit")
    op.drop_table("compute_usage")
    op.drop_index("artifacts_by_project", "artifacts")
    op.drop_column("api_keys", "last_used_at")
    op.drop_index("projects_by_organization", "projects")
    for name in ("organization_id", *(name for name, _ in LIMITS)):
        op.drop_column("projects", name)
    op.drop_table("organizations")


def _make_organizations() -> None:
    organizations = op.create_table(
        "organizations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.String(length=64), nullable=False),
        sa.Column("audit_seal", sa.String(length=64), nullable=False),
        *(sa.Column(name, kind, nullable=True) for name, kind in LIMITS),
        sa.PrimaryKeyConstraint("id"),
    )
    made = {"id": DEFAULT_ORGANIZATION_ID, "name": "default", "created_at": sa.func.current_timestamp()}
    nothing_noted = {"audit_seq": 0, "audit_hash": "", "audit_seal": ""}
    op.execute(sa.insert(organizations).values(**made, **nothing_noted))
    theirs = sa.Column("organization_id", sa.String(length=64), nullable=False, server_default=DEFAULT_ORGANIZATION_ID)
    op.add_column("projects", theirs)
    for name, kind in LIMITS:
        op.add_column("projects", sa.Column(name, kind, nullable=True))
    op.create_index("projects_by_organization", "projects", ["organization_id", "id"])


def _forbid_changes_of_entries() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_never_changes_by_{verb.lower()} BEFORE {verb} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{SAY}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{SAY}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_never_changes BEFORE UPDATE OR DELETE ON audit FOR EACH ROW "
        "EXECUTE FUNCTION refuse_change_of_audit()"
    )
