"""The entrance: the admin key in, a session out; and the way out again."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.dashboard.render import HEADERS, page
from app.dashboard.session import begin, end, read, write
from app.dashboard.visit import LOGIN, Visit
from app.deps import services_of
from app.errors import Problem
from app.identity import Identity, identify

OURS = re.compile(r"/admin(/[\w/.-]*)?", re.ASCII)
REFUSAL = (
    "This key does not open the dashboard. "
    "It takes a key of the operator's project with the scope admin, copied whole and not expired."
)


async def show(request: Request) -> Response:
    """Show the form. Its token belongs to a session that is not signed in yet."""
    pepper = services_of(request).pepper
    session = read(request, pepper)
    back = _safe(request.query_params.get("next", ""))
    answer = page(request, session, "login.html", title="Sign in", next=back, refusal=None)
    write(request, answer, session, pepper)
    return answer


async def sign_in(visit: Visit) -> Response:
    """Open a session for the right key; say that a wrong one is wrong, not why."""
    form = await visit.request.form()
    back = _safe(str(form.get("next", "")))
    operator = await _operator(visit, str(form.get("key", "")).strip())
    if operator is None:
        context = {"next": back, "refusal": REFUSAL}
        return page(visit.request, visit.session, "login.html", title="Sign in", status=403, **context)
    answer = RedirectResponse(back, 303, headers=HEADERS)
    write(visit.request, answer, begin(operator.public_id), visit.services.pepper)
    return answer


async def sign_out(visit: Visit) -> Response:
    """Close the session."""
    answer = RedirectResponse(LOGIN, 303, headers=HEADERS)
    end(visit.request, answer)
    return answer


async def _operator(visit: Visit, key: str) -> Identity | None:
    try:
        identity = await identify(visit.services, visit.request.app.state.key_cache, key)
    except Problem:
        return None
    return identity if identity.is_operator else None


def _safe(address: str) -> str:
    """Return an address only if it is a page of the dashboard: a link must not lead a new session elsewhere."""
    return address if OURS.fullmatch(address) else "/admin"
