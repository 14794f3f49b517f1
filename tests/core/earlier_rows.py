"""What an installation of any earlier revision holds: one row or more of each table, written as that revision has it.

Whoever adds a table adds its rows here; whoever adds a column that must be filled, its value. What a revision does not
know yet is left out there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, MetaData, insert, select

from core.keys import hash_key, parse, pepper_id

PEPPER: Final = b"an earlier installation's"
KEY: Final = "sct_8h27wxwebb5r_f5hd3zn2revcme6s4t01y0958sxcvhfs398xv157s2p3sxzn7w9j10sbeec"
PROJECT, MODEL, DATASET, UPLOAD, WAITING, ENDED, LEARNT, BOUNDED = (
    f"{prefix}_{number:026}" for number, prefix in enumerate(("prj", "mod", "dat", "upl", *["job"] * 4))
)
SHA256, AT = "1" * 64, datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

_job: Final[dict[str, Any]] = {
    "project_id": PROJECT,
    "model_id": MODEL,
    "dataset_id": DATASET,
    "recipe": {"target": {"units": 1}, "method": {"name": "auto"}, "budget_seconds": 60},
    "labels": {"team": "vision"},
    "device": "cpu",
    "kind": "",
    "priority": 0,
    "version": 1,
    "last_seq": 1,
    "fraction": 0.0,
    "attempt": 0,
    "crash_count": 0,
    "interrupt_count": 0,
    "fault_count": 0,
    "cancel_requested": False,
    "pause_requested": False,
    "submitted_at": AT,
}
_end: Final[dict[str, Any]] = {
    "state": "succeeded",
    "outcome": "target_met",
    "report": {"outcome": "target_met", "summary": "It went well."},
    "fraction": 1.0,
    "attempt": 2,
    "finished_at": AT,
}
_forecast: Final[dict[str, Any]] = {"jobs": 0, "run": None, "stretch": [None] * 4, "limit_seconds": 180.0}


def _priced(seconds: float, late_seconds: float) -> dict[str, float]:
    return {"price_seconds": seconds, "price_late_seconds": late_seconds}


_file: Final[dict[str, Any]] = {"project_id": PROJECT, "sha256": SHA256, "size_bytes": 4, "created_at": AT}

ROWS: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "organizations": [],  # the migration makes the one that all this then belongs to
    "projects": [{"id": PROJECT, "name": "old", "created_at": AT}],
    "blobs": [{"sha256": SHA256, "size_bytes": 4, "created_at": AT}],
    "api_keys": [
        {
            "id": "key_old",
            "project_id": PROJECT,
            "name": "old",
            "public_id": parse(KEY),
            "key_hash": hash_key(KEY, PEPPER),
            "pepper_id": pepper_id(PEPPER),
            "scopes": ["read", "write"],
            "created_at": AT,
        }
    ],
    "models": [_file | {"id": MODEL, "name": "old.onnx", "analysis": {"parameters": 7}}],
    "datasets": [_file | {"id": DATASET, "name": "old.zip"}],
    "uploads": [
        {
            "id": UPLOAD,
            "project_id": PROJECT,
            "filename": "half.onnx",
            "size_bytes": 8,
            "offset_bytes": 4,
            "created_at": AT,
            "expires_at": datetime(2999, 1, 1, tzinfo=UTC),
        }
    ],
    "jobs": [
        _job | {"id": WAITING, "state": "submitted", "forecast": _forecast} | _priced(60.0, 180.0),
        _job | _end | {"id": ENDED, "forecast": _forecast},
        _job
        | {"id": LEARNT, "state": "queued", "labels": {}, "forecast": _forecast | {"run": [20.0, 50.0]}}
        | _priced(20.0, 50.0),
        _job
        | {"id": BOUNDED, "state": "running", "labels": {}, "forecast": _forecast | {"run": [150.0, 900.0]}}
        | _priced(150.0, 180.0),
    ],
    "job_labels": [
        {"job_id": job_id, "name": "team", "value": "vision", "project_id": PROJECT} for job_id in (WAITING, ENDED)
    ],
    "events": [
        {"job_id": job_id, "seq": 1, "at": AT, "type": "job.state", "data": {"state": "submitted"}}
        for job_id in (WAITING, ENDED)
    ],
    "attempts": [
        {"job_id": ENDED, "attempt": 2, "worker_id": "wrk_old", "started_at": AT, "ended_at": AT, "ending": "finished"}
    ],
    "artifacts": [
        _file
        | {"id": "art_old", "job_id": ENDED, "name": "model.onnx", "role": "model", "media_type": "application/x-onnx"}
    ],
    "turns": [{"lane": "cpu", "project_id": PROJECT, "served_at": AT}],
    "deletions": [
        {
            "id": "del_old",
            "project_id": PROJECT,
            "job_id": "job_gone",
            "deleted_at": AT,
            "erased_by": AT,
            "events": 3,
            "files": [{"name": "model.onnx", "sha256": SHA256, "size_bytes": 4}],
        }
    ],
    "signing_keys": [{"id": "sig_old", "public_key": "A" * 44, "created_at": AT}],
    "idempotency_keys": [
        {
            "project_id": PROJECT,
            "route": "POST /v1/jobs",
            "key": "once",
            "fingerprint": "f" * 64,
            "status": 202,
            "response": {"id": WAITING},
            "location": f"/v1/jobs/{WAITING}",
            "created_at": AT,
        }
    ],
    "outbox": [{"id": "out_old", "kind": "bell", "payload": {"job_id": WAITING, "device": "cpu"}, "created_at": AT}],
    "workers": [
        {
            "id": "wrk_old",
            "host": "there",
            "boot_id": "boot",
            "pid": 1,
            "pid_started": "1",
            "devices": ["cpu"],
            "sandbox": "limits",
            "started_at": AT,
            "seen_at": AT,
        }
    ],
    "webhooks": [
        {
            "id": "whk_old",
            "project_id": PROJECT,
            "url": "https://example.com/hook",
            "description": "",
            "events": ["job.succeeded"],
            "active": True,
            "salt": "salt",
            "pepper_id": pepper_id(PEPPER),
            "created_at": AT,
            "updated_at": AT,
        }
    ],
    "webhook_deliveries": [
        {
            "id": "dlv_old",
            "project_id": PROJECT,
            "webhook_id": "whk_old",
            "message_id": "msg_old",
            "type": "job.succeeded",
            "job_id": ENDED,
            "payload": "{}",
            "state": "pending",
            "attempt": 1,
            "tries": 1,
            "next_attempt_at": AT,
            "created_at": AT,
        }
    ],
    "webhook_attempts": [{"delivery_id": "dlv_old", "attempt": 1, "started_at": AT, "status": 500}],
    "compute_usage": [{"project_id": PROJECT, "month": "2026-01", "device": "cpu", "seconds": 1.5, "attempts": 1}],
    "audit": [
        {
            "organization_id": "org_default",
            "seq": 1,
            "at": AT,
            "project_id": PROJECT,
            "actor": "key_old",
            "actor_name": "old",
            "action": "POST /v1/jobs",
            "target": f"/v1/jobs/{WAITING}",
            "details": {},
            "previous_hash": "",
            "hash": "a" * 64,
        }
    ],
    "examinations": [
        {
            "id": "exm_old",
            "project_id": PROJECT,
            "kind": "model",
            "model_id": MODEL,
            "question": "",
            "recipe": {},
            "state": "waiting",
            "attempt": 0,
            "trouble_count": 0,
            "created_at": AT,
        }
    ],
}
"""Of each table, in the order in which they refer to one another."""

Rows = dict[str, list[dict[str, Any]]]


def fill(connection: Connection) -> Rows:
    """Write the rows into the tables that are there, as far as these have columns for them; return what was written."""
    found = MetaData()
    found.reflect(connection)
    written: Rows = {}
    for name, rows in ROWS.items():
        if name in found.tables:
            columns = set(found.tables[name].columns.keys())
            written[name] = [{key: value for key, value in row.items() if key in columns} for row in rows]
            for row in written[name]:
                connection.execute(insert(found.tables[name]), row)
    unknown = found.tables.keys() - ROWS.keys() - {"alembic_version"}
    assert not unknown, f"No rows for {', '.join(sorted(unknown))}: add some to ROWS."
    return written


def read(connection: Connection, tables: MetaData, name: str) -> list[dict[str, Any]]:
    """Read every row of a table, as the code of today describes it, by its key: a changed row may lie elsewhere."""
    table = tables.tables[name]
    return [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key))]
