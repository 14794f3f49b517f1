"""The one shape of every error that a client sees, over HTTP or in a job's `error` (RFC 9457, problem+json)."""

from __future__ import annotations

from typing import Any, Final

Problem = dict[str, Any]

TYPE_PREFIX: Final = "/problems/"

JOB_ERRORS: Final = {
    "poison": ("The job broke its process too often", 500, False),
    "job-timeout": ("The job did not finish in its time", 504, False),
    "disk-limit": ("The job needs more room on the disk than it may have", 507, False),
    "out-of-memory": ("The job needs more memory than it may have", 507, False),
    "worker-lost": ("The job lost its worker too often", 503, True),
    "device-unavailable": ("No worker serves the device that the job asks for", 503, True),
    "deadline-passed": ("No worker could begin the job by its deadline", 504, True),
    "expired": ("The job waited too long", 503, True),
    "storage-unavailable": ("The store or the disk of the worker did not work", 503, True),
    "internal-error": ("Something went wrong on our side", 500, True),
}
"""What a worker itself says of a job: code -> title, status, whether the same job may succeed another time."""


def problem(
    code: str,
    title: str,
    *,
    status: int,
    detail: str,
    where: str | None = None,
    retryable: bool = False,
    errors: list[dict[str, Any]] | None = None,
) -> Problem:
    """Return a problem object. `where` names the node, file or key; `errors` has one entry for each wrong field."""
    return {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "where": where,
        "errors": errors or [],
    }


def from_engine(error: dict[str, Any]) -> Problem:
    """Turn the engine's own error (`EngineError.as_dict`) into a problem: 422, because the input has to change."""
    return problem(
        str(error.get("code", "engine-error")),
        str(error.get("title", "The engine could not finish")),
        status=422,
        detail=str(error.get("message", "")),
        where=error.get("where"),
        retryable=bool(error.get("retryable", False)),
    )


def job_problem(code: str, detail: str) -> Problem:
    """Return one of `JOB_ERRORS` with the facts of this job."""
    title, status, retryable = JOB_ERRORS[code]
    return problem(code, title, status=status, detail=detail, retryable=retryable)
