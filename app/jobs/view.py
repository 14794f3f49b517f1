"""A job as clients see it: its row, what is left of it, and where to find the rest. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from app.jobs.schemas import JobLinks, JobView
from core.db import Record
from core.jobs.forecast import Guess, waiting

ALIVE: Final = timedelta(minutes=5)
"""A worker that was not seen for so long is not counted on."""

_MADE: Final = frozenset({"created_at", "deadline", "stages", "eta", "eta_seconds", "links"})
_SHOWN: Final = tuple(name for name in JobView.model_fields if name not in _MADE)
_LINKS: Final = tuple(name for name in JobLinks.model_fields if name != "self")


class Load(NamedTuple):
    """Who works on one device: jobs in hand, and processes that take such jobs."""

    busy: int
    slots: int


Loads = Mapping[str, Load]
NOBODY: Final = Load(0, 0)


def loads(workers: Iterable[Record], busy: Iterable[Record]) -> Loads:
    """Count by device who works, and on how many jobs."""
    fresh = datetime.now(UTC) - ALIVE
    in_hand = {row["device"]: int(row["jobs"]) for row in busy}
    devices = [device for row in workers if row["seen_at"] > fresh for device in row["devices"]]
    return {device: Load(in_hand.get(device, 0), devices.count(device)) for device in {*devices, *in_hand}}


def job_view(row: Record, load: Loads | None = None) -> dict[str, Any]:
    """Return a job as clients see it; `load` is only needed for one that waits."""
    view = {name: row[name] for name in _SHOWN}
    left, path = _left(row, load or {}), f"/v1/jobs/{row['id']}"
    view["created_at"], view["deadline"] = row["submitted_at"], row["deadline_at"]
    view["stages"] = row["stages"] or []
    view["eta"] = left._asdict() | {"past_jobs": int((row["forecast"] or {}).get("jobs") or 0)}
    view["eta_seconds"] = left.p50_seconds
    view["links"] = {"self": path} | {name: f"{path}/{name}" for name in _LINKS}
    return view


def _left(row: Record, load: Loads) -> Guess:
    """Return what was stored with the last progress or, for a job that waits, what its place in the queue says."""
    if row["state"] == "paused":
        return Guess(None, None)
    if row["finished_at"] is not None:
        return Guess(0.0, 0.0)
    if row["queue_position"] is None:
        return Guess(row["eta_seconds"], row["eta_p90_seconds"])
    here = load.get(row["device"], NOBODY)
    return waiting(row["forecast"], ahead=row["queue_position"] - 1, busy=here.busy, slots=here.slots)
