"""What endpoints are given: the one place that binds every query to the asker's project, and notes every change."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request
from sqlalchemy.orm import Session

from app.asked import Asked, target_of
from app.errors import Problem, not_found
from app.identity import Identity, identify, scope_for
from app.services import Services
from core.audit import Deed, append
from core.db import Query, Record
from core.ids import ALPHABET
from core.scopes import ORGANIZATION_ADMIN

T = TypeVar("T")

ID_SHAPE = re.compile(rf"[a-z]{{3}}_(?:[{ALPHABET}]{{26}}|default|admin)")


@dataclass(frozen=True)
class Tenant:
    """One project's view of the service. Endpoints read and write through it, so none can forget the project."""

    services: Services
    identity: Identity
    asked: Asked
    organization_id: str
    project_id: str

    def within(self, organization_id: str, project_id: str) -> Tenant:
        """Return the view of another project, for an admin of its organisation; who may have it, the caller checks."""
        return replace(self, organization_id=organization_id, project_id=project_id)

    async def fetch_one(self, query: Query, **values: Any) -> Record | None:
        """Read the first row of a query that takes `project_id`."""
        return await self.services.database.fetch_one(query(project_id=self.project_id, **values))

    async def fetch_all(self, query: Query, **values: Any) -> list[Record]:
        """Read all rows of a query that takes `project_id`."""
        return await self.services.database.fetch_all(query(project_id=self.project_id, **values))

    async def add_up(self, query: Query, **values: Any) -> Record:
        """Read the one row of a query that takes `project_id` and goes through much of what the project has."""
        return await self.services.database.add_up(query(project_id=self.project_id, **values))

    async def get(self, query: Query, word: str, identifier: str, **values: Any) -> Record:
        """Read the one row that must be there, or raise `not-found`, the same for unknown ids and other tenants'."""
        check_id(word, identifier)
        row = await self.fetch_one(query, **values)
        if row is None:
            raise not_found(word, identifier)
        return row

    async def look(self, work: Callable[[Session, str], T]) -> T:
        """Run `work(session, project_id)` in a transaction that changes nothing worth telling of: no entry is made."""
        return await self.services.database.write(lambda session: work(session, self.project_id))

    async def write(self, work: Callable[[Session, str], T], *, details: dict[str, Any] | None = None) -> T:
        """Run `work(session, project_id)` in a transaction, whose last step is an entry of the audit log.

        An answer that is only replayed changes nothing and is not noted. `details` go into the entry: no secrets.
        """

        def noted(session: Session) -> T:
            result = work(session, self.project_id)
            target = target_of(self.asked, result)
            if target is not None:
                append(session, self.organization_id, self._deed(target, details or {}), self.services.pepper)
            return result

        return await self.services.database.write(noted)

    def _deed(self, target: str, details: dict[str, Any]) -> Deed:
        return Deed(
            actor=self.identity.key_id,
            actor_name=self.identity.key_name,
            action=self.asked.action,
            target=target,
            project_id=self.project_id,
            address=self.asked.address,
            request_id=self.asked.request_id,
            details=details,
        )


def check_id(word: str, identifier: str) -> None:
    """Answer text that cannot be an id as an unknown one, before a database stumbles over it."""
    if not ID_SHAPE.fullmatch(identifier):
        raise not_found(word, identifier)


def services_of(request: Request) -> Services:
    """Return what `create_app` wired."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def tenant_of(request: Request, wanted: str | None, *others: str) -> Tenant:
    """Return the project's view for a request whose key may do it: `read`, `write`, a scope by its name, or any.

    A key that has one of the `others` in its place will do as well.
    """
    services = services_of(request)
    identity = await identify(services, request.app.state.key_cache, _bearer(request))
    _keep_pace(request, services, identity)
    scope, *instead = (scope_for(request.scope["path"], each) for each in (wanted, *others))
    if not any(identity.may(each) for each in (scope, *instead)):
        message = f"The key '{identity.key_name}' lacks the scope '{scope}'. Use a key that has it."
        raise Problem("forbidden-scope", message, required_scope=scope)
    return Tenant(services, identity, Asked.of(request), identity.organization_id, identity.project_id)


def _keep_pace(request: Request, services: Services, identity: Identity) -> None:
    """Count the request against its key's rate; the envelope tells the client how many are left."""
    limit = services.pace_of(identity.requests_per_minute)
    if limit is None:
        return
    pace = services.paces.ask(identity.key_id, limit)
    request.scope["rate_headers"] = pace.headers
    if pace.wait_seconds:
        message = f"The key '{identity.key_name}' may ask {limit} times a minute. Wait {pace.wait_seconds} s."
        raise Problem("rate-limited", message, headers={"Retry-After": str(pace.wait_seconds)})


async def _operator_of(request: Request) -> Tenant:
    """Let only the operator see what belongs to all organisations."""
    tenant = await tenant_of(request, None)
    if not tenant.identity.is_operator:
        name = tenant.identity.key_name
        message = f"The key '{name}' is not the operator's, and this is. Use an admin key of the first project."
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


def _tenant_with(scope: str, *others: str) -> Any:
    async def tenant(request: Request) -> Tenant:
        return await tenant_of(request, scope, *others)

    return Depends(tenant)


Reader = Annotated[Tenant, _tenant_with("read")]
Writer = Annotated[Tenant, _tenant_with("write")]
Resumer = Annotated[Tenant, _tenant_with("read", "write")]
KeysAdmin = Annotated[Tenant, _tenant_with("keys:admin")]
AuditReader = Annotated[Tenant, _tenant_with("audit:read")]
OrganizationAdmin = Annotated[Tenant, _tenant_with(ORGANIZATION_ADMIN)]
Operator = Annotated[Tenant, Depends(_operator_of)]
Id = Annotated[str, Path(max_length=64)]
