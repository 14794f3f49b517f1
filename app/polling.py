"""A short way through FastAPI for what is polled."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.deps import tenant_of


class PollRoute(APIRoute):
    """Calls its endpoint with the request, a reader and the path's parameters, and with nothing else.

    FastAPI's general solving of parameters costs as much as all the rest of a poll. The endpoint's signature stays as
    FastAPI wants it, so that it is documented like any other.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint

        async def handler(request: Request) -> Response:
            response = await endpoint(request, await tenant_of(request, "read"), **request.path_params)
            assert isinstance(response, Response)
            return response

        return handler
