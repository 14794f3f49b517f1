"""One request of a signed-in admin: what every page and action is given, and the guard that gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy.orm import Session as SqlSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.asked import Asked
from app.dashboard.render import HEADERS, PageError, error_page, page
from app.dashboard.session import Session, came_from_our_page, operator_of, read
from app.deps import services_of
from app.errors import Problem, problem_of
from app.identity import Identity
from app.problem_kinds import PROBLEMS
from app.services import Services
from core.audit import Deed, append
from core.db import Database
from core.limits import QuotaExceeded
from core.tables import Project

T = TypeVar("T")

LOGIN = "/admin/login"


@dataclass(frozen=True)
class Visit:
    """A request, whose it is, and what the process has to answer it with."""

    request: Request
    session: Session
    services: Services
    title: str = ""
    operator: Identity | None = None

    @property
    def database(self) -> Database:
        return self.services.database

    def query(self, name: str) -> str:
        """Return what can be printed of a parameter of the address; empty when it is not there."""
        given = self.request.query_params.get(name, "")[:255]
        return "".join(character for character in given if character.isprintable()).strip()

    def page(self, template: str, *, title: str | None = None, **context: Any) -> Response:
        """Render a page under its title of the table, or under a more telling one."""
        return page(self.request, self.session, template, title=title or self.title, **context)

    async def write(self, project_id: str, target: str, work: Callable[[SqlSession], T]) -> T:
        """Run `work` in a transaction on a project's things, and note it in its organisation's audit log."""
        asked, operator = Asked.of(self.request), self.operator
        if operator is None:
            raise PageError(403, "Nobody is signed in", "Sign in first.")
        deed = Deed(
            actor=operator.key_id,
            actor_name=operator.key_name,
            action=asked.action,
            target=target,
            project_id=project_id,
            address=asked.address,
            request_id=asked.request_id,
        )

        def noted(session: SqlSession) -> T:
            result = work(session)
            owner = session.get_one(Project, project_id).organization_id
            append(session, owner, deed, self.services.pepper)
            return result

        return await self.database.write(noted)


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def signed_in(handler: Handler, title: str = "") -> Endpoint:
    """Let only a signed-in admin through; anyone else is sent to the entrance and comes back here afterwards."""

    async def endpoint(request: Request) -> Response:
        services = services_of(request)
        session = read(request, services.pepper)
        operator = await operator_of(services, session)
        if operator is None:
            return to_login(request)
        return await _answer(handler, Visit(request, session, services, title, operator))

    return endpoint


def form_of_ours(handler: Handler, *, needs_admin: bool = True) -> Endpoint:
    """Let only a form of our own pages through, by default one of a signed-in admin."""

    async def endpoint(request: Request) -> Response:
        services = services_of(request)
        session = read(request, services.pepper)
        operator = await operator_of(services, session)
        token = (await request.form(max_files=0, max_fields=8)).get("csrf", "")
        if not came_from_our_page(request, session, str(token)):
            return error_page(request, session, _FOREIGN_FORM)
        if needs_admin and operator is None:
            return to_login(request)
        return await _answer(handler, Visit(request, session, services, operator=operator))

    return endpoint


def to_login(request: Request) -> Response:
    """Send a visitor to the entrance; a page that was asked for by GET is come back to."""
    back = request.url.path if request.method == "GET" else "/admin"
    return RedirectResponse(f"{LOGIN}?next={quote(back)}", 303, headers=HEADERS)


async def _answer(handler: Handler, visit: Visit) -> Response:
    try:
        return await handler(visit)
    except PageError as error:
        return error_page(visit.request, visit.session, error)
    except (Problem, QuotaExceeded) as error:
        problem = problem_of(error)
        told = PageError(problem.status_code, PROBLEMS[problem.code].title, problem.detail)
        return error_page(visit.request, visit.session, told)


_FOREIGN_FORM = PageError(
    403,
    "This form was refused",
    "It did not come from a page of this dashboard, or that page was too old. Go back, reload it and try again.",
)
