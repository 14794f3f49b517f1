"""The headers of responses, each described once."""

from __future__ import annotations

from typing import Any, Final

from app.openapi import told

_TEXT: Final = {"type": "string"}


def _header(description: str, example: Any, schema: dict[str, Any] | None = None, *, always: bool = False) -> Any:
    """Describe a header; `always` says that no response that names it is without it."""
    return {"description": description, "required": always, "schema": schema or _TEXT, "example": example}


_NUMBER: Final = {"type": "integer", "minimum": 0}
_IS_WHOLE: Final = {"type": "string", "enum": ["?0", "?1"]}

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Request-Id": _header("Stands in the service's log, too.", "req_5f0c1d2e3a4b5c6d7e8f9a0b", always=True),
    "Location": _header("Where the thing is that was made or changed.", "/v1/jobs/job_01kaq8e0a2s4d6f8g1h3j5k7m9"),
    "ETag": _header("Names these contents; for `If-None-Match`, `If-Match` and `If-Range`.", '"41"', always=True),
    "Retry-After": _header("Seconds until it is worth asking again.", 5, _NUMBER),
    "RateLimit": _header("What the key has left.", '"key";r=599;t=60'),
    "RateLimit-Policy": _header("What the key may ask.", '"key";q=600;w=60'),
    "WWW-Authenticate": _header("How to send a key.", 'Bearer realm="secateur"', always=True),
    "Idempotency-Replayed": _header("`true`: the answer to an earlier request with the same key.", "true"),
    "Preference-Applied": _header("How long the service was ready to wait.", "wait=30"),
    "Upload-Offset": _header("So many bytes are safely kept.", 65536, _NUMBER),
    "Upload-Complete": _header("`?1`: nothing more is to come.", "?0", _IS_WHOLE),
    "Upload-Length": _header("The size of the whole file, where it is known.", 102400, _NUMBER),
    "Upload-Limit": _header("What an upload may be.", "max-size=4294967296, min-size=1, max-age=86400"),
    "Accept-Patch": _header("The media type of a part.", "application/partial-upload", always=True),
    "Repr-Digest": _header("The sha256 of the whole file.", "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:"),
    "Accept-Ranges": _header("Ranges of bytes can be asked for.", "bytes", always=True),
    "Content-Range": _header("Which bytes these are.", "bytes 0-1023/102400", always=True),
    "Content-Disposition": _header("The file's name.", 'attachment; filename="model.onnx"', always=True),
}


def add_headers(operation: dict[str, Any], *, is_keyed: bool) -> None:
    """Name in every response of an operation the headers that its kind has; what it names itself stays."""
    is_idempotent = any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", []))
    for status, response in operation["responses"].items():
        names = ["Request-Id"]
        if is_keyed and status != "401":  # whose pace it is, is known only then
            names += ["RateLimit", "RateLimit-Policy"]
        names += _OF_STATUS.get(status, [])
        if is_idempotent and status.startswith("2"):
            names.append("Idempotency-Replayed")
        response["headers"] = told(*names)["headers"] | response.get("headers", {})


_OF_STATUS: Final = {
    "201": ["Location"],
    "401": ["WWW-Authenticate"],
    "409": ["Retry-After"],
    "429": ["Retry-After"],
    "503": ["Retry-After"],
    "507": ["Retry-After"],
}
