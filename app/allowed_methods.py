"""Which methods a path has: the framework names those of the first route that fits, and a path may have several."""

from __future__ import annotations

from fastapi import Request
from fastapi.routing import iter_route_contexts


def allowed_methods(request: Request) -> str | None:
    """Return what `Allow` lists for the request's path; None where it is no path of the document."""
    path = getattr(request.scope.get("route"), "path", None)
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.path == path and getattr(route, "include_in_schema", False):
            found |= route.methods or set()
    return ", ".join(sorted(found)) or None
