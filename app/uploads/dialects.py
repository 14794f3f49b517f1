"""Which words a request speaks: told by a header, so that one address serves the clients of every dialect."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.deps import tenant_of
from app.uploads import draft, tus


class DialectRoute(APIRoute):
    """Hands a request to the endpoint of its dialect, if this one has one there; all others go FastAPI's way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        plain = super().get_route_handler()
        name = self.endpoint.__name__
        in_tus = tus.ENDPOINTS.get(name)

        async def handler(request: Request) -> Response:
            if in_tus is not None and "Tus-Resumable" in request.headers:
                return await tus.answer(request, in_tus)
            if name == "create_upload" and "Upload-Complete" in request.headers:
                return await draft.create_with_content(request, await tenant_of(request, "write"))
            return await plain(request)

        return handler
