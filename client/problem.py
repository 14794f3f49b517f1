"""One reading of all that goes wrong: an answer's problem+json and a failed job's `error` are the same object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WHAT_TO_DO = {
    "unauthorized": "Give a valid key with --key or SECATEUR_KEY. The service prints its admin key at its first start.",
    "key-expired": "Ask for a new key; this one's time is over.",
    "forbidden-scope": "Use a key with the scope that is named.",
    "upload-too-large": "Ask the operator for a higher limit (SECATEUR_MAX_UPLOAD_BYTES), or send a smaller file.",
    "storage-full": "Ask the operator to free space, then run the same command again: what arrived is kept.",
    "database-unavailable": "Run the same command again in a minute.",
    "storage-unavailable": "Run the same command again in a minute.",
    "internal-error": "Run the same command again. If it happens again, report the request id to the operator.",
    "target-infeasible": "Ask for no more than the network can give: the message names the furthest that it can go.",
    "nothing-to-cut": "Send a network with blocks of equal shapes in and out or wide layers, or ask for method auto.",
}

PLACES = ("pointer", "parameter", "header", "where", "field", "loc")
"""What an entry of a validation problem can say where it is in."""


@dataclass(frozen=True)
class Problem:
    """What was found, where, and what to do."""

    title: str
    what: str
    where: str | None = None
    what_to_do: str | None = None
    code: str | None = None
    status: int | None = None
    request_id: str | None = None
    retryable: bool = False


def read_problem(value: object, *, status: int | None = None, fallback: str = "No reason was given.") -> Problem:
    """Read an RFC 9457 object or an engine's error; anything else (a proxy's page) becomes a problem of its status."""
    if not isinstance(value, Mapping):
        title = f"The server answered with HTTP {status}" if status else "The job failed"
        return Problem(title=title, what=fallback, status=status, code=f"http-{status}" if status else None)
    code = _text(value.get("code"))
    what = _text(value.get("detail")) or _text(value.get("message")) or fallback
    return Problem(
        title=_text(value.get("title")) or "The server refused",
        what=what,
        where=_text(value.get("where")) or _places(value.get("errors"), what),
        what_to_do=WHAT_TO_DO.get(code or ""),
        code=code,
        status=status,
        request_id=_text(value.get("request_id")),
        retryable=value.get("retryable") is True,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _places(errors: Any, what: str) -> str | None:
    """Join the fields that a validation problem lists, each with its own complaint unless it has been made already."""
    if not isinstance(errors, list):
        return None
    found = [error for error in errors if isinstance(error, Mapping)]
    lines = [_place(error) + ("" if _complaint(error) in what else f": {_complaint(error)}") for error in found]
    return "\n".join(lines) or None


def _place(error: Mapping[str, Any]) -> str:
    return next((str(error[key]) for key in PLACES if error.get(key)), "(body)")


def _complaint(error: Mapping[str, Any]) -> str:
    return next((str(error[key]) for key in ("detail", "message", "msg") if error.get(key)), "not valid")
