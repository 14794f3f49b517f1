"""Ready bytes as responses: FastAPI's own serialisation of a response model would double the cost of a poll."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

OPTIONS = orjson.OPT_UTC_Z


def as_json(content: Any) -> bytes:
    """Return `content` as JSON; moments are written as RFC 3339 in UTC."""
    return orjson.dumps(content, option=OPTIONS)


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `content` as a JSON response."""
    return Response(as_json(content), status, headers=headers, media_type="application/json")


def plain(content: Any) -> Any:
    """Return `content` as JSON would read it back: what an idempotency key stores must equal what was sent."""
    return orjson.loads(as_json(content))
