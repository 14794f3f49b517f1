"""`/healthz`, `/readyz` and `/metrics`, for whatever looks after this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError

from app.answers import json_answer
from app.deps import Operator, services_of
from app.errors import Problem
from app.health.schemas import Alive, Ready
from app.openapi import Responses, problems
from app.services import Services
from core.db import Query as Statement
from core.metrics.table import SUBMITTED
from core.queries import workers_statement
from core.storage.base import StorageError

router = APIRouter(tags=["health"])

NO_BLOB: Final = "0" * 64
ALIVE: Final = b'{"status":"ok"}'
METRICS: Final[Responses] = {
    200: {
        "description": "The counters, as text.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": f"# TYPE {SUBMITTED.name} counter\n"}},
    }
}
alive_statement: Final = Statement(select(literal(1).label("alive")))


@router.get("/healthz", response_model=Alive)
async def healthz() -> Response:
    """Tell that this process answers; it asks nobody else."""
    return Response(ALIVE, media_type="application/json")


Excluded = Annotated[
    list[Literal["database", "storage", "workers"]] | None,
    Query(description="Checks to leave out: who spreads requests over web processes cannot mend a want of workers."),
]


@router.get("/readyz", response_model=Ready, responses=problems("not-ready"))
async def readyz(request: Request, exclude: Excluded = None) -> Response:
    """Tell whether a job that is sent now would be done: this process stays, and there are database, files, workers."""
    services = services_of(request)
    checks = {name: await check(services) for name, check in CHECKS.items() if name not in (exclude or ())}
    missing = [name for name, check in checks.items() if not check["ok"]]
    if missing:
        reasons = "; ".join(f"{name}: {checks[name]['detail']}" for name in missing)
        raise Problem("not-ready", f"Not ready: {reasons}.", checks=checks)
    return json_answer({"status": "ready", "checks": checks})


@router.get("/metrics", response_class=Response, responses=METRICS)
async def metrics(request: Request, _tenant: Operator) -> Response:
    """Show this process's metrics in Prometheus' format; they count all projects, so only the operator sees them.

    They are the same at the admin port, where there is one.
    """
    text = await asyncio.to_thread(services_of(request).metrics_text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _check_process(services: Services) -> dict[str, Any]:
    """Say from the first signal on that this process is about to stop, so that requests are sent to others."""
    is_stopping = services.drain.is_begun
    return _check(not is_stopping, "it is about to stop" if is_stopping else "it stays")


async def _check_database(services: Services) -> dict[str, Any]:
    try:
        await services.database.fetch_one(alive_statement())
    except (SQLAlchemyError, OSError) as error:
        return _check(False, f"it does not answer ({type(error).__name__})")
    return _check(True, "it answers")


async def _check_storage(services: Services) -> dict[str, Any]:
    try:
        await asyncio.to_thread(services.storage.exists, NO_BLOB)
    except (StorageError, OSError) as error:
        return _check(False, f"it does not answer ({type(error).__name__})")
    return _check(True, "it answers")


async def _check_workers(services: Services) -> dict[str, Any]:
    try:
        workers = await services.database.fetch_all(workers_statement())
    except (SQLAlchemyError, OSError):
        return _check(False, "the database that knows them does not answer")
    since = datetime.now(UTC) - timedelta(seconds=services.settings.lease_seconds)
    # One that is about to stop serves no device any more.
    alive = [worker for worker in workers if worker["seen_at"] >= since and worker["devices"]]
    if not alive:
        return _check(False, f"none was seen for {services.settings.lease_seconds:.0f} s")
    wanted = services.settings.sandbox
    weak = [worker["id"] for worker in alive if wanted == "bubblewrap" and worker["sandbox"] != wanted]
    if weak:
        return _check(False, f"{', '.join(weak)} cannot run the sandbox that the settings ask for")
    return _check(True, f"{len(alive)} seen, sandbox: {', '.join(sorted({worker['sandbox'] for worker in alive}))}")


CHECKS: Final[Mapping[str, Callable[[Services], Awaitable[dict[str, Any]]]]] = {
    "process": _check_process,
    "database": _check_database,
    "storage": _check_storage,
    "workers": _check_workers,
}


def _check(is_ok: bool, detail: str) -> dict[str, Any]:
    return {"ok": is_ok, "detail": detail}
