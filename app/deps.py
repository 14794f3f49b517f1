"""What endpoints are given: the one place that binds every query to the asker's project."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request
from sqlalchemy.orm import Session

from app.errors import Problem, not_found
from app.identity import Identity, identify
from app.services import Services
from core.db import Query, Record
from core.ids import ALPHABET

T = TypeVar("T")

ID_SHAPE = re.compile(rf"[a-z]{{3}}_(?:[{ALPHABET}]{{26}}|default)")


@dataclass(frozen=True)
class Tenant:
    """One project's view of the service. Endpoints read and write through it, so none can forget the project."""

    services: Services
    identity: Identity

    @property
    def project_id(self) -> str:
        return self.identity.project_id

    async def fetch_one(self, query: Query, **values: Any) -> Record | None:
        """Read the first row of a query that takes `project_id`."""
        return await self.services.database.fetch_one(query(project_id=self.project_id, **values))

    async def fetch_all(self, query: Query, **values: Any) -> list[Record]:
        """Read all rows of a query that takes `project_id`."""
        return await self.services.database.fetch_all(query(project_id=self.project_id, **values))

    async def get(self, query: Query, word: str, identifier: str, **values: Any) -> Record:
        """Read the one row that must be there, or raise `not-found`, the same for unknown ids and other tenants'."""
        check_id(word, identifier)
        row = await self.fetch_one(query, **values)
        if row is None:
            raise not_found(word, identifier)
        return row

    async def write(self, work: Callable[[Session, str], T]) -> T:
        """Run `work(session, project_id)` in a transaction."""
        return await self.services.database.write(lambda session: work(session, self.project_id))


def check_id(word: str, identifier: str) -> None:
    """Answer text that cannot be an id as an unknown one, before a database stumbles over it."""
    if not ID_SHAPE.fullmatch(identifier):
        raise not_found(word, identifier)


def services_of(request: Request) -> Services:
    """Return what `create_app` wired."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def tenant_of(request: Request, scope: str) -> Tenant:
    """Return the project's view for a request whose key has `scope`; admin includes all."""
    services = services_of(request)
    identity = await identify(services, request.app.state.key_cache, _bearer(request))
    if not identity.may(scope):
        message = f"The key '{identity.key_name}' lacks the scope '{scope}'. Use a key that has it."
        raise Problem("forbidden-scope", message, required_scope=scope)
    return Tenant(services, identity)


async def _operator_of(request: Request) -> Tenant:
    """Let only the operator see what belongs to all projects."""
    tenant = await tenant_of(request, "admin")
    if not tenant.identity.is_operator:
        message = f"The key '{tenant.identity.key_name}' is of a project, and this shows all. Use the operator's key."
        raise Problem("forbidden-scope", message, required_scope="admin")
    return tenant


def _bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        message = (
            "No API key was sent. Send the header 'Authorization: Bearer sct_…'; the server printed its admin key once."
        )
        raise Problem("unauthorized", message)
    return key.strip()


def _tenant_with(scope: str) -> Any:
    async def tenant(request: Request) -> Tenant:
        return await tenant_of(request, scope)

    return Depends(tenant)


Reader = Annotated[Tenant, _tenant_with("read")]
Writer = Annotated[Tenant, _tenant_with("write")]
Admin = Annotated[Tenant, _tenant_with("admin")]
Operator = Annotated[Tenant, Depends(_operator_of)]
Id = Annotated[str, Path(max_length=64)]
