"""A short way through FastAPI for what is asked often: polls, and the submission of jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_type_hints

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from app.deps import tenant_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PollRoute(APIRoute):
    """Calls its endpoint with the request, a reader and the path's parameters, and with nothing else.

    FastAPI's general solving of parameters costs as much as all the rest of a poll. The endpoint's signature stays as
    FastAPI wants it, so that it is documented like any other.
    """

    def get_route_handler(self) -> Handler:
        endpoint = self.endpoint

        async def handler(request: Request) -> Response:
            return await _answered(endpoint(request, await tenant_of(request, "read"), **request.path_params))

        return handler


class SubmitRoute(APIRoute):
    """Calls its endpoint with the request, a writer and the body, whose model its parameter `asked` names.

    Whatever is not a sound body of that model goes FastAPI's own way, which says what is wrong with it.
    """

    def get_route_handler(self) -> Handler:
        endpoint, usual = self.endpoint, super().get_route_handler()
        model: type[BaseModel] = get_type_hints(endpoint)["asked"]

        async def handler(request: Request) -> Response:
            asked = await _body_as(model, request)
            if asked is None:
                return await usual(request)
            return await _answered(endpoint(request, await tenant_of(request, "write"), asked))

        return handler


async def _body_as(model: type[BaseModel], request: Request) -> BaseModel | None:
    if request.headers.get("Content-Type") != "application/json":
        return None
    try:
        return model.model_validate(orjson.loads(await request.body()))
    except (orjson.JSONDecodeError, ValidationError):
        return None


async def _answered(asked: Awaitable[Any]) -> Response:
    response = await asked
    assert isinstance(response, Response)
    return response
