"""Turn a template into a response: escaping, safe headers, addresses of the static files. Knows no page."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.dashboard.formats import FILTERS
from app.dashboard.session import Session

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# The files are few and small: they are read once, and their address changes when they do.
STATIC = {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir())}
VERSIONS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in STATIC.items()}

STATE_WORDS = {
    "submitted": "Submitted",
    "validating": "Being checked",
    "queued": "Queued",
    "running": "Running",
    "pausing": "Being paused",
    "paused": "Paused",
    "finalizing": "Being delivered",
    "succeeded": "Succeeded",
    "rejected": "Refused",
    "failed": "Failed",
    "cancelling": "Being cancelled",
    "cancelled": "Cancelled",
    "expired": "Expired",
}


class PageError(Exception):
    """A page that cannot be shown: what was looked for, and what to do."""

    def __init__(self, status: int, title: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.message = message


def page(
    request: Request, session: Session, template: str, *, title: str, status: int = 200, **context: Any
) -> HTMLResponse:
    """Render a whole page."""
    shared = {"session": session, "title": title, "here": request.url.path, "now": datetime.now(UTC)}
    html = ENVIRONMENT.get_template(template).render(shared | context)
    return HTMLResponse(html, status, headers=HEADERS)


def part(template: str, block: str, context: dict[str, Any]) -> str:
    """Render one block of a template, exactly as it stands in the whole page."""
    chosen = ENVIRONMENT.get_template(template)
    return "".join(chosen.blocks[block](chosen.new_context(context)))


def error_page(request: Request, session: Session, error: PageError) -> HTMLResponse:
    """Render a refusal as a page."""
    return page(request, session, "error.html", title=error.title, status=error.status, message=error.message)


async def static(request: Request) -> Response:
    """Serve a file of ours; with its version in the address it may be kept for ever."""
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    headers = HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(STATIC[name], media_type=MEDIA_TYPES[Path(name).suffix], headers=headers)


def _static_address(name: str) -> str:
    return f"/admin/static/{name}?v={VERSIONS[name]}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(static=_static_address, STATES=STATE_WORDS)
    environment.globals["parts"] = environment.get_template("parts.html").module
    return environment


ENVIRONMENT = _environment()
