"""Jobs as bytes, kept for the next poll."""

from __future__ import annotations

from typing import NamedTuple


class Shown(NamedTuple):
    """A job as it goes out: ready bytes, and the tag of what they show.

    Who waits for a change waits until the tag begins otherwise than with `tag_start`.
    """

    version: int
    etag: str
    tag_start: str
    is_terminal: bool
    body: bytes


class ShownJobs:
    """The jobs that were shown last, in bytes; each is used only after the row's version was looked at."""

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._shown: dict[tuple[str, str], Shown] = {}

    def get(self, project_id: str, job_id: str, version: int) -> Shown | None:
        shown = self._shown.get((project_id, job_id))
        return shown if shown is not None and shown.version == version else None

    def put(self, project_id: str, job_id: str, shown: Shown) -> None:
        if len(self._shown) >= self._capacity:
            self._shown.clear()
        self._shown[project_id, job_id] = shown
