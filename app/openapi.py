"""What an endpoint says of itself in its decorator, where FastAPI cannot tell: problems, headers, raw bodies, streams.

What is true of many endpoints at once is not said here again and again: `app.document` adds it.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, Field

from app.errors import MEDIA_TYPE
from app.problem_kinds import PROBLEMS

Responses = dict[int | str, dict[str, Any]]


class FieldError(BaseModel):
    """One thing that is wrong, and where: a JSON pointer into the body, or a parameter's or header's name."""

    pointer: str | None = Field(default=None, examples=["/recipe/target/latency_ratio"])
    parameter: str | None = None
    header: str | None = None
    code: str = Field(examples=["greater-than"])
    detail: str = Field(examples=["Input should be greater than 0"])


class ProblemView(BaseModel):
    """An error as RFC 9457 has it; a failed job's `error` has the same shape."""

    type: str = Field(examples=["/problems/not-found"])
    title: str = Field(examples=["There is no such thing here"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="What was found, where, and what to do.",
        examples=["This project has no job with the id 'job_0'. Check the id and the API key's project."],
    )
    code: str = Field(examples=["not-found"])
    request_id: str | None = Field(default=None, examples=["req_5f0c1d2e3a4b5c6d7e8f9a0b"])
    retryable: bool = Field(description="Whether the same request may succeed later.")
    where: str | None = Field(default=None, examples=["node 'Einsum_12'"])
    errors: list[FieldError]


def problems(*codes: str) -> Responses:
    """Describe the problems with these codes of `app.problem_kinds.PROBLEMS`, for `responses=`.

    Those that every operation of its kind can answer with are added by `app.document`: what is wrong with a key, a
    parameter or a body of JSON, a key that asks too often, an Idempotency-Key, a service that does not work.
    """
    statuses = dict.fromkeys(PROBLEMS[code].status for code in codes)
    return {status: described([code for code in codes if PROBLEMS[code].status == status]) for status in statuses}


def described(codes: list[str]) -> dict[str, Any]:
    """Return the response of one status: what its codes are, each with an example."""
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    return {
        "description": "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE, "examples": examples}},
    }


def told(*names: str) -> dict[str, Any]:
    """Return the headers of a response, by their names in `app.document.headers.HEADERS`."""
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def heading(status: int, *names: str) -> Responses:
    """Name the headers of the response of one status, for `responses=`."""
    return {status: told(*names)}


def _header(name: str, schema: dict[str, Any], example: Any = None, *, required: bool = False) -> dict[str, Any]:
    """Describe a header of a request that the endpoint reads by itself."""
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "header", "required": required, "schema": schema} | shown


_TEXT: Final = {"type": "string"}
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_IS_LAST: Final = {"type": "string", "enum": ["?0", "?1"]}
_LENGTH: Final = {"type": "integer", "minimum": 1, "maximum": 10**15 - 1}
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_DIGEST: Final = "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:"
_KEY: Final = _header(
    "Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}, "8e03978e-40d5"
)
_FILE: Final = ("ETag", "Accept-Ranges")

UPLOAD_SHOWN: Final = ("Upload-Offset", "Upload-Complete", "Upload-Length", "Repr-Digest")
PROBLEM_REFERENCE: Final = {"$ref": "#/components/schemas/ProblemView"}
IDEMPOTENT: Final = {"parameters": [_KEY]}
PREFER: Final = _header("Prefer", _TEXT, "wait=30")
WAITING: Final = {"parameters": [_header("If-None-Match", _TEXT, '"41"'), PREFER]}
BINARY_BODY: Final = {
    "requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}},
    "parameters": [
        _header("Repr-Digest", _TEXT, _DIGEST),
        _header("X-Content-Sha256", {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}, _SHA256),
    ],
}
PART_BODY: Final = {
    "requestBody": {"required": True, "content": {"application/partial-upload": _BYTES}},
    "parameters": [
        _header("Upload-Offset", {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}, 0, required=True),
        _header("Upload-Complete", _IS_LAST, "?1", required=True),
        _header("Upload-Length", _LENGTH, 102400),
        _header("Content-Digest", _TEXT, _DIGEST),
    ],
}
CREATION: Final = {
    "requestBody": {"content": {"application/octet-stream": _BYTES}},
    "parameters": [
        _KEY,
        _header("Upload-Complete", _IS_LAST),
        _header("Upload-Length", _LENGTH),
        _header("Repr-Digest", _TEXT),
        _header("Content-Disposition", _TEXT, 'attachment; filename="model.onnx"'),
    ],
}
RANGES: Final = {
    "parameters": [
        _header("Range", _TEXT, "bytes=0-1023"),
        _header("If-Range", _TEXT),
        _header("If-Match", _TEXT),
        _header("If-None-Match", _TEXT),
    ]
}

_ANY_FILE: Final = {
    "application/octet-stream": _BYTES,
    "application/json": {"schema": {"type": "object"}},
    "image/svg+xml": {"schema": {"type": "string"}},
    "text/plain": {"schema": {"type": "string"}},
}
"""What jobs deliver: networks, reports, pictures, logs."""

JOB_SHOWN: Final[Responses] = {
    200: told("ETag", "Preference-Applied"),
    304: {"description": "Nothing changed since If-None-Match."} | told("ETag", "Preference-Applied"),
}
EVENT_STREAM: Final[Responses] = {
    200: {
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'retry: 1000\n\nid: 1\nevent: job.state\ndata: {"seq":1,"type":"job.state"}\n\n',
            }
        },
        "description": "JSON, or a stream of events.",
    }
}
CONTENT: Final[Responses] = {
    200: {"description": "The whole file.", "content": _ANY_FILE} | told(*_FILE, "Repr-Digest", "Content-Disposition"),
    206: {"description": "The range that was asked for.", "content": _ANY_FILE}
    | told(*_FILE, "Repr-Digest", "Content-Disposition", "Content-Range"),
    304: {"description": "The client has these bytes."} | told("ETag"),
    307: {"description": "The bytes are at `Location`, in the store itself; send no key there."}
    | told("ETag", "Repr-Digest", "Location"),
}
_LINES: Final = {"text/plain": {"schema": {"type": "string"}, "example": "2026-11-22T05:01:00.000Z job.state queued\n"}}
LOG: Final[Responses] = {
    200: {"description": "The whole log.", "content": _LINES} | told(*_FILE),
    206: {"description": "The range that was asked for.", "content": _LINES} | told(*_FILE, "Content-Range"),
    304: {"description": "The client has this log."} | told("ETag"),
}
