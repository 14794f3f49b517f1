"""`Idempotency-Key`: a POST that is sent twice happens once, and the second gets the first one's answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.answers import json_answer, plain
from app.deps import Tenant
from app.errors import Problem
from core.db import utc_now
from core.tables import IdempotencyKey

WAIT_SECONDS = 5.0


class Answer(NamedTuple):
    """What a POST made: the status, the JSON object and its address."""

    status: int
    body: dict[str, Any]
    location: str | None = None


Work = Callable[[Session, str], Answer]


class InFlight:
    """The keys whose first request is still running in this process."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str, str], asyncio.Event] = {}

    @asynccontextmanager
    async def alone(self, name: tuple[str, str, str]) -> AsyncIterator[None]:
        """Wait for a twin to end, a while; then say that it is still running."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while (twin := self._running.get(name)) is not None:
                    await twin.wait()
        except TimeoutError as error:
            message = "The first request with this Idempotency-Key has not ended yet. Send it again in a moment."
            raise Problem("idempotency-in-progress", message, headers={"Retry-After": "2"}) from error
        ended = self._running[name] = asyncio.Event()
        try:
            yield
        finally:
            del self._running[name]
            ended.set()


async def once(tenant: Tenant, request: Request, body: Any, work: Work) -> Response:
    """Run `work(session, project_id)` in a transaction and answer; with an Idempotency-Key, once in all.

    Key, answer and what `work` made are written in that one transaction. The answer is encoded inside it, so that
    nothing is made that cannot be shown. `body` is what the key stands for, JSON or what makes it: the same key with
    another body is refused.
    """
    key = _key_of(request)
    if key is None:
        return await tenant.write(lambda session, project_id: _response(work(session, project_id)))
    route = f"POST {request.url.path}"[:200]
    content = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
    fingerprint = hashlib.sha256(orjson.dumps(plain(content), option=orjson.OPT_SORT_KEYS)).hexdigest()
    guarded = _guard(key, route, fingerprint, work)
    async with request.app.state.in_flight.alone((tenant.project_id, route, key)):
        try:
            return await tenant.write(guarded)
        except IntegrityError:  # another process wrote the same key first: its answer is there now
            return await tenant.write(guarded)


def _guard(key: str, route: str, fingerprint: str, work: Work) -> Callable[[Session, str], Response]:
    def guarded(session: Session, project_id: str) -> Response:
        stored = session.get(IdempotencyKey, (project_id, route, key))
        if stored is not None:
            if stored.fingerprint != fingerprint:
                message = "This Idempotency-Key was used with another body. Take a new key for a new request."
                raise Problem("idempotency-mismatch", message)
            return _response(Answer(stored.status, stored.response, stored.location), is_replay=True)
        answer = work(session, project_id)
        row = IdempotencyKey(
            project_id=project_id,
            route=route,
            key=key,
            fingerprint=fingerprint,
            status=answer.status,
            response=plain(answer.body),
            location=answer.location,
            created_at=utc_now(session),
        )
        session.add(row)
        session.flush()
        return _response(answer)

    return guarded


def _key_of(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        errors = [
            {"header": "Idempotency-Key", "code": "bad-key", "detail": "Expected 1 to 255 printable ASCII characters."}
        ]
        raise Problem(
            "validation-failed", "Idempotency-Key: expected 1 to 255 printable ASCII characters.", errors=errors
        )
    return key


def _response(answer: Answer, *, is_replay: bool = False) -> Response:
    headers = {"Location": answer.location} if answer.location else {}
    if is_replay:
        headers["Idempotency-Replayed"] = "true"
    return json_answer(answer.body, answer.status, headers)
