"""The operator's view at /admin: pages made on the server, readable without JavaScript. PAGES lists them."""

from __future__ import annotations

from typing import NamedTuple

from starlette.applications import Starlette
from starlette.routing import Route

from app.dashboard import actions, live
from app.dashboard.pages import job, jobs, login, overview, projects
from app.dashboard.render import static
from app.dashboard.visit import Handler, form_of_ours, signed_in


class Page(NamedTuple):
    """One page: where it is, what it is called, what shows it."""

    path: str
    title: str
    function: Handler


PAGES = (
    Page("/admin", "Overview", overview.show),
    Page("/admin/jobs", "Jobs", jobs.show),
    Page("/admin/jobs/{job_id}", "Job", job.show),
    Page("/admin/projects", "Projects", projects.show),
)


def install(app: Starlette) -> None:
    """Add the dashboard to an application that holds its `Services` as `app.state.services`."""
    for page in PAGES:
        app.router.routes.append(Route(page.path, signed_in(page.function, page.title)))
    app.router.routes.extend(
        [
            Route("/admin/login", login.show),
            Route("/admin/login", form_of_ours(login.sign_in, needs_admin=False), methods=["POST"]),
            Route("/admin/logout", form_of_ours(login.sign_out, needs_admin=False), methods=["POST"]),
            Route("/admin/jobs/{job_id}/stream", signed_in(live.stream)),
            Route("/admin/jobs/{job_id}/artifacts/{artifact_id}", signed_in(actions.download)),
            Route("/admin/jobs/{job_id}/cancel", form_of_ours(actions.cancel), methods=["POST"]),
            Route("/admin/jobs/{job_id}/pause", form_of_ours(actions.pause), methods=["POST"]),
            Route("/admin/jobs/{job_id}/resume", form_of_ours(actions.resume), methods=["POST"]),
            Route("/admin/jobs/{job_id}/retry", form_of_ours(actions.retry), methods=["POST"]),
            Route("/admin/static/{name}", static),
        ]
    )
