"""A job as clients see it: its row, what is left of it, and where to find the rest. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.jobs.schemas import JobLinks, JobView
from core.db import Record
from core.jobs.forecast import Guess, waiting
from core.jobs.line import NOTHING, Line, Work
from core.jobs.order import AHEAD

ALIVE: Final = timedelta(minutes=5)
"""A worker that was not seen for so long is not counted on."""

_MADE: Final = frozenset({"created_at", "deadline", "stages", "eta", "eta_seconds", "links"})
_SHOWN: Final = tuple(name for name in JobView.model_fields if name not in _MADE)
_LINKS: Final = tuple(name for name in JobLinks.model_fields if name != "self")


Lines = Mapping[str, Line]
"""By device."""
NOBODY: Final = Line()


def lines(workers: Iterable[Record], running: Iterable[Record], of_others: Iterable[Record]) -> Lines:
    """Return by device who works, on what, and what waits for it of other projects."""
    fresh = datetime.now(UTC) - ALIVE
    in_hand = {row["device"]: _work(row) for row in running}
    devices = [device for row in workers if row["seen_at"] > fresh for device in row["devices"]]
    others: dict[str, dict[str, Work]] = {}
    for row in of_others:
        others.setdefault(row["device"], {})[row["project_id"]] = _work(row)
    return {
        device: Line(devices.count(device), in_hand.get(device, NOTHING), others.get(device, {}))
        for device in {*devices, *in_hand, *others}
    }


def own_work(row: Record) -> Work:
    """Return what stands ahead of a job in its own project, from a row that tells it."""
    jobs, middle_seconds, late_seconds = (row[name] for name in AHEAD)
    return Work(int(jobs), float(middle_seconds), float(late_seconds))


def _work(row: Record) -> Work:
    return Work(int(row["jobs"]), float(row["middle_seconds"]), float(row["late_seconds"]))


def job_view(row: Record, lines_by_device: Lines | None = None) -> dict[str, Any]:
    """Return a job as clients see it; the lines are only needed for one that waits."""
    view = {name: row[name] for name in _SHOWN}
    left, path = left_of(row, lines_by_device or {}), f"/v1/jobs/{row['id']}"
    view["created_at"], view["deadline"] = row["submitted_at"], row["deadline_at"]
    view["stages"] = row["stages"] or []
    view["eta"] = left._asdict() | {"past_jobs": int((row["forecast"] or {}).get("jobs") or 0)}
    view["eta_seconds"] = left.p50_seconds
    view["links"] = {"self": path} | {name: f"{path}/{name}" for name in _LINKS}
    return view


def left_of(row: Record, lines_by_device: Lines) -> Guess:
    """Return what was stored with the last progress or, for a job that waits, what its place in the queue says."""
    if row["state"] == "paused":
        return Guess(None, None)
    if row["finished_at"] is not None:
        return Guess(0.0, 0.0)
    if row["queue_position"] is None:
        return Guess(row["eta_seconds"], row["eta_p90_seconds"])
    line = lines_by_device.get(row["device"], NOBODY)
    own = own_work(row)
    # Place and work are read one after the other, and jobs come and go between.
    before = line.before(own, max(row["queue_position"] - 1 - own.jobs, 0))
    return waiting(row["forecast"], line.wait(before))
