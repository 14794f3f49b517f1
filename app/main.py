"""Puts the web process together: the one place that knows every router."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from app import background, dashboard, errors
from app.artifacts.endpoints import router as artifacts
from app.audit.endpoints import router as audit
from app.candidates.endpoints import router as candidates
from app.catalogue.endpoints import router as catalogue
from app.datasets.endpoints import router as datasets
from app.document import complete
from app.envelope import Envelope
from app.estimates.endpoints import router as estimates
from app.health.endpoints import router as health
from app.idempotency import InFlight
from app.identity import KeyCache
from app.jobs.endpoints import polls, submissions
from app.jobs.endpoints import router as jobs
from app.keys.endpoints import router as keys
from app.logs.endpoints import router as logs
from app.manifests.endpoints import router as manifests
from app.models.endpoints import router as models
from app.projects.endpoints import router as projects
from app.projects.organizations import router as organizations
from app.reports.endpoints import router as reports
from app.services import Services
from app.uploads.endpoints import router as uploads
from app.webhooks.endpoints import router as webhooks
from app.webhooks.outgoing import outgoing
from core.metrics.admin import admin_port
from core.settings import Settings, settings

# Routes are tried in this order, each for a price: what is polled stands first.
ROUTERS = (
    polls,
    submissions,
    jobs,
    estimates,
    health,
    uploads,
    artifacts,
    candidates,
    reports,
    logs,
    manifests,
    models,
    datasets,
    catalogue,
    keys,
    webhooks,
    projects,
    organizations,
    audit,
)

UNTRACED = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by whoever looks after this process: nobody's work, and no trace."""

VERSION = "0.1.0"
DESCRIPTION = (
    "Pruning as a service: a trained vision network goes in, a smaller and measurably faster ONNX file comes out."
)


def create_app(given: Settings | None = None) -> FastAPI:
    """Return the application. The tables must be there (`core.db.upgrade`); what it opens is closed at shutdown."""
    services = Services.open(given or settings())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            with admin_port(services.settings, services.metrics_text):
                async with background.running(services):
                    yield
        finally:
            await services.close()

    app = FastAPI(
        title="Secateur",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        telemetry=_telemetry(services),
    )
    app.state.services = services
    app.state.key_cache = KeyCache()
    app.state.in_flight = InFlight()
    for router in ROUTERS:
        app.include_router(router)
    dashboard.install(app)
    errors.install(app)
    app.add_middleware(
        Envelope,
        max_request_bytes=services.settings.max_request_bytes,
        drain=services.drain,
        is_traced=services.tracing.is_on,
    )
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _telemetry(services: Services) -> TelemetryConfig:
    """Let FastAPI make a span of each request where traces are on, and ask and tell the environment nothing."""
    return {
        "tracing": services.tracing.is_on,
        "tracer_provider": services.tracing.provider,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: scope["path"] in UNTRACED,
    }


def _operation_id(route: APIRoute) -> str:
    """Call an operation like its function; whoever generates a client gets these names."""
    return route.name


def _schema(app: FastAPI) -> dict[str, Any]:
    """Make the OpenAPI document at its first reading."""
    if app.openapi_schema is None:
        plain = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            webhooks=outgoing.routes,
        )
        app.openapi_schema = complete(plain)
    return app.openapi_schema
