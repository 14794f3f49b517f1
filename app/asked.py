"""What a request asks for, as the audit log tells it: which endpoint, from where, under which id, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response


@dataclass(frozen=True)
class Asked:
    """One request: `action` names the endpoint, `path` the thing."""

    action: str
    path: str
    address: str | None
    request_id: str

    @classmethod
    def of(cls, request: Request) -> Asked:
        scope = request.scope
        route = getattr(scope.get("route"), "path", scope["path"])
        address = request.client.host if request.client else None
        return cls(f"{scope['method']} {route}", scope["path"], address, scope["request_id"])


def target_of(asked: Asked, result: Any) -> str | None:
    """Return the address of what was made or changed; None where an earlier answer was only replayed.

    A response names by its Location what it made, a row by its id.
    """
    if isinstance(result, Response):
        if "Idempotency-Replayed" in result.headers:
            return None
        return result.headers.get("Location", asked.path)
    made = str(result["id"]) if isinstance(result, Mapping) and "id" in result else ""
    before, found, _action = asked.path.partition(made) if made else (asked.path, "", "")
    return before + found if found or not made else f"{asked.path}/{made}"
