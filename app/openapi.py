"""What FastAPI cannot tell by itself in the OpenAPI document: problems, raw bodies, streams."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.errors import MEDIA_TYPE, PROBLEMS


class FieldError(BaseModel):
    """One thing that is wrong, and where: a JSON pointer into the body, or a parameter's or header's name."""

    pointer: str | None = Field(default=None, examples=["/recipe/target/latency_ratio"])
    parameter: str | None = None
    header: str | None = None
    code: str
    detail: str


class ProblemView(BaseModel):
    """An error as RFC 9457 has it; a failed job's `error` has the same shape."""

    type: str = Field(examples=["/problems/not-found"])
    title: str
    status: int
    detail: str = Field(description="What was found, where, and what to do.")
    code: str = Field(examples=["not-found"])
    request_id: str | None = None
    retryable: bool = Field(description="Whether the same request may succeed later.")
    where: str | None = None
    errors: list[FieldError]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of some statuses, for `responses=`."""
    return {status: _described(status) for status in statuses}


def _described(status: int) -> dict[str, Any]:
    codes = [code for code, kind in PROBLEMS.items() if kind.status == status]
    return {"description": "; ".join(codes), "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}}


PROBLEM_REFERENCE = {"$ref": "#/components/schemas/ProblemView"}
RATE_HEADERS = {
    "Retry-After": {"description": "Seconds until a request passes again.", "schema": {"type": "integer"}},
    "RateLimit": {"description": 'What is left: "key";r=0;t=3.', "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": 'The limit: "key";q=600;w=60.', "schema": {"type": "string"}},
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
BINARY_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}}
PART_BODY = {
    "requestBody": {"required": True, "content": {"application/partial-upload": _BYTES}},
    "parameters": [
        {"name": "Upload-Offset", "in": "header", "required": True, "schema": {"type": "integer", "minimum": 0}},
        {"name": "Upload-Complete", "in": "header", "required": True, "schema": {"enum": ["?0", "?1"]}},
        {"name": "Upload-Length", "in": "header", "required": False, "schema": {"type": "integer", "minimum": 1}},
        {"name": "Content-Digest", "in": "header", "required": False, "schema": {"type": "string"}},
    ],
}
IDEMPOTENT = {
    "parameters": [
        {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 255}}
    ]
}
PREFER = {"name": "Prefer", "in": "header", "required": False, "schema": {"type": "string"}, "example": "wait=30"}
CREATION = {
    "requestBody": {"content": {"application/octet-stream": _BYTES}},
    "parameters": [
        *IDEMPOTENT["parameters"],
        {"name": "Upload-Complete", "in": "header", "required": False, "schema": {"enum": ["?0", "?1"]}},
        {"name": "Upload-Length", "in": "header", "required": False, "schema": {"type": "integer", "minimum": 1}},
        {"name": "Repr-Digest", "in": "header", "required": False, "schema": {"type": "string"}},
        {"name": "Content-Disposition", "in": "header", "required": False, "schema": {"type": "string"}},
    ],
}
WAITING = {
    "parameters": [{"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}}, PREFER]
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Nothing changed since If-None-Match."}}
EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "JSON, or a stream of events.",
    }
}
RANGES = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in ("Range", "If-Range", "If-Match", "If-None-Match")
    ]
}
CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": {"application/octet-stream": _BYTES}},
    206: {"description": "The range that was asked for.", "content": {"application/octet-stream": _BYTES}},
    304: {"description": "The client has these bytes."},
    307: {"description": "The bytes are at `Location`, in the store itself; send no key there."},
}


def complete_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Add what every path shares: the problem's shape, the key, and no trace of FastAPI's own error shape."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = ProblemView.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemView"] = problem
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "sct_…"}}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            operation["responses"]["422"] = operation["responses"].get("422", {}) | _described(422)
            if path.startswith("/v1/") or path == "/metrics":
                operation["security"] = [{"key": []}]
                operation["responses"]["429"] = _described(429) | {"headers": RATE_HEADERS}
                for status in (500, 503, *((400, 413) if "requestBody" in operation else ())):
                    operation["responses"].setdefault(str(status), _described(status))
    for methods in schema.get("webhooks", {}).values():
        for operation in methods.values():  # what the receiver answers is its own affair
            operation["responses"].pop("422", None)
    return schema
