"""Who is asking, and the one place that binds every query to the asker's project."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request
from sqlalchemy.orm import Session

from app.errors import Problem, not_found
from app.services import Services
from core.db import Query, Record
from core.ids import ALPHABET
from core.keys import KeyMalformed, is_key_of, parse
from core.queries import key_statement

T = TypeVar("T")

CACHE_SECONDS = 1.0  # a revoked key works no longer than this
CACHE_CAPACITY = 1000
ID_SHAPE = re.compile(rf"[a-z]{{3}}_(?:[{ALPHABET}]{{26}}|default)")


@dataclass(frozen=True)
class Identity:
    """What a verified key stands for."""

    key_id: str
    key_name: str
    project_id: str
    scopes: frozenset[str]
    expires_at: datetime | None


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


class KeyCache:
    """Keys that were verified within the last second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Identity]] = {}

    def get(self, key: str) -> Identity | None:
        until, identity = self._known.get(key, (0.0, None))
        return identity if time.monotonic() < until else None

    def put(self, key: str, identity: Identity) -> None:
        if len(self._known) >= CACHE_CAPACITY:
            self._known.clear()
        self._known[key] = (time.monotonic() + CACHE_SECONDS, identity)


def services_of(request: Request) -> Services:
    """Return what `create_app` wired."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def tenant_of(request: Request, scope: str) -> Tenant:
    """Return the project's view for a request whose key has `scope`; admin includes all."""
    services = services_of(request)
    identity = await identify(services, request.app.state.key_cache, _bearer(request))
    if scope not in identity.scopes and "admin" not in identity.scopes:
        message = f"The key '{identity.key_name}' lacks the scope '{scope}'. Use a key that has it."
        raise Problem("forbidden-scope", message, required_scope=scope)
    return Tenant(services, identity)


async def identify(services: Services, cache: KeyCache, key: str) -> Identity:
    """Return what the key stands for, or raise `unauthorized` or `key-expired`. The dashboard signs in by it, too."""
    known = cache.get(key)
    if known is not None and not _is_over(known.expires_at):
        return known
    identity = await _look_up(services, key)
    cache.put(key, identity)
    return identity


def _bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        message = (
            "No API key was sent. Send the header 'Authorization: Bearer sct_…'; the server printed its admin key once."
        )
        raise Problem("unauthorized", message)
    return key.strip()


async def _look_up(services: Services, key: str) -> Identity:
    try:
        public_id = parse(key)
    except KeyMalformed as error:
        raise Problem("unauthorized", f"{error} Check that it was copied from sct_ to its end.") from error
    row = await services.database.fetch_one(key_statement(public_id=public_id))
    if not is_key_of(key, row["key_hash"] if row else None, services.pepper) or row is None:
        raise Problem("unauthorized", "This server knows no such key. Check that the key belongs to this server.")
    if row["revoked_at"] is not None:
        raise Problem("key-expired", f"The key '{row['name']}' was revoked. Ask the project's admin for another.")
    if _is_over(row["expires_at"]):
        raise Problem("key-expired", f"The key '{row['name']}' ran out. Ask the project's admin for another.")
    return Identity(row["id"], row["name"], row["project_id"], frozenset(row["scopes"]), row["expires_at"])


def _is_over(moment: datetime | None) -> bool:
    return moment is not None and moment <= datetime.now(UTC)


def _tenant_with(scope: str) -> Any:
    async def tenant(request: Request) -> Tenant:
        return await tenant_of(request, scope)

    return Depends(tenant)


Reader = Annotated[Tenant, _tenant_with("read")]
Writer = Annotated[Tenant, _tenant_with("write")]
Admin = Annotated[Tenant, _tenant_with("admin")]
Id = Annotated[str, Path(max_length=64)]
