"""What the service answers with, as small frozen objects. `raw` keeps every field, newer ones too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from client.problem import Problem, read_problem

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})


@dataclass(frozen=True)
class Job:
    """One recipe on one model, as it was when we asked. `fraction` runs from 0 to 1 over the whole job."""

    id: str
    state: str
    outcome: str | None
    stage: str | None
    fraction: float
    eta_seconds: float | None
    message: str | None
    queue_position: int | None
    attempt: int
    raw: dict[str, Any]

    @property
    def is_front(self) -> bool:
        """Whether several networks were asked for."""
        target = (self.raw.get("recipe") or {}).get("target") or {}
        return target.get("pareto") is not None

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL_STATES

    @property
    def error(self) -> Problem:
        """Why the job ended without a result; for a cancelled job, that it was cancelled."""
        fallback = "It was cancelled." if self.state == "cancelled" else "No reason was given."
        title = f"The job ended as {self.state}"
        value = self.raw.get("error") or {"title": title, "detail": fallback, "code": self.state}
        return read_problem(value, fallback=fallback)


def read_job(raw: dict[str, Any]) -> Job:
    """Read a job object; fields that an older server does not send are not known."""
    return Job(
        id=str(raw["id"]),
        state=str(raw["state"]),
        outcome=raw.get("outcome"),
        stage=raw.get("stage"),
        fraction=float(raw.get("fraction") or 0.0),
        eta_seconds=raw.get("eta_seconds"),
        message=raw.get("message"),
        queue_position=raw.get("queue_position"),
        attempt=int(raw.get("attempt") or 0),
        raw=raw,
    )


@dataclass(frozen=True)
class Candidate:
    """One network of a front; `latency_ratio` is measured, over the original's, with its 95 % interval in `raw`."""

    id: str
    is_model: bool
    latency_ratio: float
    artifact_id: str | None
    raw: dict[str, Any]


def read_candidate(raw: dict[str, Any]) -> Candidate:
    return Candidate(
        id=str(raw["id"]),
        is_model=bool(raw["is_model"]),
        latency_ratio=float(raw["latency_ratio"]["value"]),
        artifact_id=raw.get("artifact_id"),
        raw=raw,
    )


@dataclass(frozen=True)
class Artifact:
    """A file that a job delivered, and the sha256 that its bytes must have."""

    id: str
    name: str
    role: str
    sha256: str
    size_bytes: int


def read_artifact(raw: dict[str, Any]) -> Artifact:
    return Artifact(
        id=str(raw["id"]),
        name=str(raw["name"]),
        role=str(raw["role"]),
        sha256=str(raw["sha256"]),
        size_bytes=int(raw["size_bytes"]),
    )
