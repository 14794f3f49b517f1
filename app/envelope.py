"""What wraps every exchange: a request id, safe headers, a limit on bodies, one log line, one count, the last catch.

A plain ASGI layer, because a status poll passes through it: Starlette's base class would double the poll's cost.
"""

from __future__ import annotations

import secrets
import time

import structlog
from fastapi import Request
from opentelemetry.trace import get_current_span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.drain import Drain
from app.errors import Problem, problem_of, problem_response
from app.metrics.requests import count_request

log = structlog.get_logger("app.access")

# What a response has said itself stays as it is.
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
)
QUIET_METHODS = {"GET", "HEAD"}


def lift_body_limit(request: Request) -> None:
    """Let this request's body pass uncounted; an upload counts it against a limit of its own."""
    request.scope["body_limit_bytes"] = None


class Envelope:
    """The outermost layer; `request_id` and `body_limit_bytes` in the scope are its gifts to the layers inside."""

    def __init__(self, app: ASGIApp, *, max_request_bytes: int, drain: Drain, is_traced: bool) -> None:
        self.app = app
        self.is_traced = is_traced
        self.max_request_bytes = max_request_bytes
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["request_id"] = f"req_{secrets.token_hex(12)}"
        scope["body_limit_bytes"] = self.max_request_bytes
        if self.is_traced:
            get_current_span().set_attribute("secateur.request_id", scope["request_id"])
        await _Exchange(self.app, scope, receive, send, self.drain).run()


class _Exchange:
    """One request and its response."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, drain: Drain) -> None:
        self.app = app
        self.drain = drain
        self.scope = scope
        self.receive = receive
        self.send = send
        self.received_bytes = 0
        self.status = 0
        self.started = time.perf_counter()

    async def run(self) -> None:
        try:
            await self.app(self.scope, self._receive_counted, self._send_marked)
        except Exception as error:
            if (
                self.status
            ):  # half a response is out: the server must cut the connection, so that it is not taken for whole
                raise
            problem = problem_of(error)
            if problem.status_code == 500:
                log.exception("unhandled", request_id=self.scope["request_id"], path=self.scope["path"])
            response = problem_response(problem, self.scope["request_id"])
            await response(self.scope, self.receive, self._send_marked)
        finally:
            self._record()

    async def _receive_counted(self) -> Message:
        limit = self.scope["body_limit_bytes"]
        if limit is not None and self.received_bytes == 0 and _declared_length(self.scope) > limit:
            raise _too_large(limit)
        message = await self.receive()
        self.received_bytes += len(message.get("body", b""))
        if limit is not None and self.received_bytes > limit:
            raise _too_large(limit)
        return message

    async def _send_marked(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = {name for name, _ in message["headers"]}
            safe = [header for header in SAFE_HEADERS if header[0] not in said]
            ours = [*self.scope.get("rate_headers", ()), (b"request-id", self.scope["request_id"].encode())]
            if self.drain.is_begun:  # the next request is better sent elsewhere
                ours.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *safe, *ours]
        await self.send(message)

    def _record(self) -> None:
        """Count every exchange; log changes and failures, and leave successful polls out, which would drown them."""
        seconds = time.perf_counter() - self.started
        route = getattr(self.scope.get("route"), "path", "none")
        method = self.scope["method"]
        count_request(method, route, self.status, seconds)
        if method not in QUIET_METHODS or self.status >= 400:
            log.info(
                "request",
                request_id=self.scope["request_id"],
                method=method,
                path=self.scope["path"],
                status=self.status,
                seconds=round(seconds, 4),
            )


def _declared_length(scope: Scope) -> int:
    """Return the body's declared length, 0 when there is none; the HTTP parser refuses what is no number."""
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


def _too_large(limit: int) -> Problem:
    detail = f"The body is over the {limit} bytes that this path takes. Files go to PUT /v1/files or POST /v1/uploads."
    return Problem("request-too-large", detail, limit_bytes=limit)
