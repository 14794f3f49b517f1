"""What the page of one job shows, gathered from its rows. Knows no request: the live stream renders from it, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from app.dashboard import queries
from app.dashboard.formats import percent, size
from app.dashboard.render import PageError
from core.db import Database, Record
from core.ids import ALPHABET
from core.jobs import TERMINAL
from core.queries import artifacts_statement, attempts_statement, events_statement
from engine.report import Report

JOB_ID = re.compile(f"job_[{ALPHABET}]{{26}}")
EVENTS_SHOWN = 300

# The engine's road, in the order in which it reports progress.
STAGES = (
    "load",
    "normalise",
    "images",
    "measure",
    "units",
    "score",
    "search",
    "cut",
    "recover",
    "merge",
    "verify",
    "report",
)
BEFORE_CANDIDATES = STAGES[: STAGES.index("cut")]
"""Of a front; the networks follow, a stage each, and how many there will be is known when the search is over."""


@dataclass(frozen=True)
class Step:
    """One stage of the road: done, now or next; `seconds` once it is over."""

    name: str
    status: str
    seconds: float | None


async def load_job(database: Database, job_id: str) -> Record:
    """Read a job of any project, or say that there is none."""
    row = await database.fetch_one(queries.job(job_id)) if JOB_ID.fullmatch(job_id) else None
    if row is None:
        message = f"No job has the id '{job_id[:80]}'. It may have been deleted; the list of jobs has all there are."
        raise PageError(404, "There is no such job", message)
    return row


async def view_job(database: Database, job_id: str) -> dict[str, Any]:
    """Gather what the template `job.html` names."""
    job = await load_job(database, job_id)
    ours = {"project_id": job["project_id"], "job_id": job_id}
    after = max(job["last_seq"] - EVENTS_SHOWN, 0)
    events = await database.fetch_all(events_statement(**ours, after=after))
    report, is_report_unreadable = _report(job["report"])
    return {
        "job": job,
        "is_over": job["state"] in TERMINAL,
        "attempts": await database.fetch_all(attempts_statement(**ours)),
        "artifacts": await database.fetch_all(artifacts_statement(**ours)),
        "events": [event | {"said": said(event)} for event in reversed(events)],
        "road": road(job, events),
        "report": report,
        "is_report_unreadable": is_report_unreadable,
        "now": datetime.now(UTC),
    }


def _report(stored: dict[str, Any] | None) -> tuple[Report | None, bool]:
    """Read the stored report; one of another version is left to the download."""
    if stored is None:
        return None, False
    try:
        return Report.model_validate(stored), False
    except ValidationError:
        return None, True


def road(job: Record, events: Sequence[Record]) -> list[Step]:
    """Lay out the stages of the newest attempt: a stage ends where the next one starts."""
    starts = _starts(job, events)
    seen = [name for name, _ in starts]
    known = BEFORE_CANDIDATES if _is_front(job) else STAGES
    names = [*known, *(name for name in seen if name not in known)]
    last = seen[-1] if seen else None
    ended = _seconds(starts, job["finished_at"])
    is_over = job["state"] in TERMINAL
    steps = []
    for name in names:
        if name == last and job["state"] != "succeeded":
            steps.append(Step(name, "stopped" if is_over else "now", ended.get(name)))
        else:
            is_done = name in seen or job["state"] == "succeeded"
            steps.append(Step(name, "done" if is_done else "next", ended.get(name)))
    return steps


def _is_front(job: Record) -> bool:
    target = (job["recipe"] or {}).get("target")
    return isinstance(target, dict) and target.get("pareto") is not None


def _starts(job: Record, events: Sequence[Record]) -> list[tuple[str, datetime]]:
    """Find when each stage was first told of since the job last started to run."""
    starts: dict[str, datetime] = {}
    for event in events:
        if event["type"] == "job.state" and event["data"].get("state") == "running":
            starts.clear()
        if event["type"] == "job.progress" and job["running_at"] is not None:
            starts.setdefault(str(event["data"].get("stage")), event["at"])
    return list(starts.items())


def _seconds(starts: list[tuple[str, datetime]], finished_at: datetime | None) -> dict[str, float]:
    ends = [at for _, at in starts[1:]] + ([finished_at] if finished_at else [])
    return {name: (end - at).total_seconds() for (name, at), end in zip(starts, ends, strict=False)}


def said(event: Record) -> str:
    """Put an event into words."""
    told = event["data"]
    if event["type"] == "job.progress":
        message = f": {told['message']}" if told.get("message") else ""
        return f"{told.get('stage')}, {percent(float(told.get('fraction') or 0))}{message}"
    if event["type"] == "job.artifact":
        return f"{told.get('name')}, {size(float(told.get('size_bytes') or 0))}"
    if event["type"] == "job.state":
        parts = [str(told.get("state"))]
        parts += [f"attempt {told['attempt']}"] if told.get("attempt") else []
        parts += [str(told["outcome"]).replace("_", " ")] if told.get("outcome") else []
        parts += [str(told["error"].get("title"))] if told.get("error") else []
        return ", ".join(parts)
    return str(told.get("message") or told)
