"""Whatever makes a request fail, as a code of `app.problem_kinds`, and the one form in which it is told: RFC 9457."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.allowed_methods import allowed_methods
from app.problem_kinds import PROBLEMS
from core.limits import QuotaExceeded
from core.problems import problem
from core.storage.base import StorageFull, StorageUnavailable
from engine.recipe import in_document

MEDIA_TYPE = "application/problem+json"
FOREIGN_KEY_VIOLATION = "23503"  # SQLSTATE
log = structlog.get_logger("app")
NO_SUCH_PATH = (
    "No such path. GET /openapi.json lists every path of this service, GET /docs shows them in a browser; "
    "the dashboard is at /admin."
)

# What a bare status from the framework means in our words.
CODE_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "request-too-large", 415: "unsupported-media-type"}


class Problem(HTTPException):
    """A refusal: a code of PROBLEMS, what was found and what to do (`detail`), and where (`errors`).

    `members` become further keys of the JSON object, such as `expected_offset`.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[dict[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(PROBLEMS[code].status, detail, dict(headers or {}))
        self.code = code
        self.errors = list(errors)
        self.members = members


def not_found(word: str, identifier: str) -> Problem:
    """Say that the project has no such thing; another project's id gets the same answer as one that never was."""
    message = f"This project has no {word} with the id '{identifier[:80]}'. Check the id and the API key's project."
    return Problem("not-found", message)


def as_problem(code: str, detail: str, *, errors: Sequence[dict[str, Any]] = (), **members: Any) -> dict[str, Any]:
    """Return the JSON object of a problem, without a request's id."""
    kind = PROBLEMS[code]
    body = problem(code, kind.title, status=kind.status, detail=detail, retryable=kind.retryable, errors=list(errors))
    return body | ({} if kind.type is None else {"type": kind.type}) | members


def problem_response(refusal: Problem, request_id: str) -> Response:
    """Return the problem as a response; a retryable one says when to try again."""
    body = as_problem(refusal.code, refusal.detail, errors=refusal.errors, **refusal.members)
    headers = dict(refusal.headers or {})
    if body["status"] in (503, 507):
        headers.setdefault("Retry-After", "5")
    if body["status"] == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="secateur"')
    return Response(_as_json(body | {"request_id": request_id}), body["status"], headers=headers, media_type=MEDIA_TYPE)


def _as_json(body: dict[str, Any]) -> bytes:
    """Write the object, also where it quotes half a surrogate pair from a request, which UTF-8 cannot hold."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body).encode("ascii")


def problem_of(error: Exception) -> Problem:
    """Translate whatever was raised; what is not known is our fault and its text stays in the log."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, QuotaExceeded):
        return Problem("quota-exceeded", str(error), quota=error.name, limit=error.limit)
    if isinstance(error, IntegrityError) and _is_broken_reference(error):
        return Problem("state-conflict", "What this refers to was deleted or put to use meanwhile. Look at it again.")
    code, detail = _of_fault(error)
    return Problem(code, detail)


def _is_broken_reference(error: IntegrityError) -> bool:
    """Say whether a row was deleted under another that refers to it; each database has its own words."""
    return getattr(error.orig, "sqlstate", None) == FOREIGN_KEY_VIOLATION or "FOREIGN KEY" in str(error.orig)


def _of_fault(error: Exception) -> tuple[str, str]:
    """Tell faults of the outside world, which pass, from our own, which are bugs."""
    match error:
        case StorageFull():
            return "storage-full", f"{error} Nothing was lost; try again when there is room."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "storage-full", "The server's disk is full. Nothing was lost; try again when there is room."
        case StorageUnavailable():
            return "storage-unavailable", "The store of files did not answer. Nothing was lost; try again."
        case ClientDisconnect():
            return "request-timeout", "The connection ended before the body did."
        case OperationalError() | DBAPIError(connection_invalidated=True):
            return "database-unavailable", "The database did not answer in time. Nothing was changed; try again."
    return "internal-error", "The server met a fault of its own. Quote the request_id to whoever runs it."


def install(app: FastAPI) -> None:
    """Answer whatever the framework or an endpoint raises with a problem; the envelope catches the rest."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {**(error.headers or {}), "Allow": allowed_methods(request) or _allowed_by(error)}
        return problem_response(problem_of(error), request.scope["request_id"])

    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def _of_http(error: HTTPException) -> Problem:
    code = CODE_OF_STATUS.get(error.status_code)
    if code == "not-found":
        return Problem(code, NO_SUCH_PATH)
    if code == "method-not-allowed":
        detail = f"This path allows {_allowed_by(error) or 'other methods'}."
        return Problem(code, detail, headers=error.headers)
    if code is not None:
        return Problem(code, error.detail)
    if error.status_code >= 500:
        return Problem("internal-error", "The server met a fault of its own.")
    return Problem("bad-request", f"{error.detail}. Send UTF-8 JSON with Content-Type: application/json.")


def _allowed_by(error: HTTPException) -> str:
    return (error.headers or {}).get("Allow", "")


def _of_validation(failure: RequestValidationError) -> Problem:
    found = failure.errors()
    malformed = next((error for error in found if error["type"] == "json_invalid"), None)
    if malformed is not None:
        position, reason = malformed["loc"][-1], malformed["ctx"]["error"]
        return Problem("malformed-json", f"The body stops being JSON at character {position}: {reason}.")
    found = [error for error in found if not _only_follows(error, found)]
    errors = [_place(error) for error in found]
    unknown = all(error["type"] in ("unknown_key", "extra_forbidden") for error in found)
    return Problem("unknown-field" if unknown else "validation-failed", _sentence(errors), errors=errors)


def _only_follows(error: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a list is too short only because others of its errors have taken items out of it."""
    if error["type"] != "too_short" or len(error["input"]) < error["ctx"]["min_length"]:
        return False
    place = error["loc"]
    return any(other["loc"][: len(place)] == place for other in found if other is not error)


def _place(error: Mapping[str, Any]) -> dict[str, str]:
    """Say where one validation error is: a JSON pointer into the body, or the name of a parameter or header."""
    source, *path = error["loc"]
    if error["type"] == "unknown_key":
        path = [*path, error["ctx"]["key"]]
    where = {"pointer": _pointer(path)} if source == "body" else {_SOURCES[str(source)]: str(path[-1] if path else "")}
    return {**where, "code": error["type"].replace("_", "-"), "detail": error["msg"]}


_SOURCES = {"query": "parameter", "path": "parameter", "header": "header", "cookie": "cookie"}


def _pointer(path: Sequence[str | int]) -> str:
    """Join a path as RFC 6901 says."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in in_document(path))


def _sentence(errors: Sequence[Mapping[str, str]]) -> str:
    first = errors[0]
    where = first.get("pointer") or first.get("parameter") or first.get("header") or "body"
    more = f" (and {len(errors) - 1} more in errors)" if len(errors) > 1 else ""
    return f"{where}: {first['detail']}{more}"
