"""Whom a key stands for, and what that one may see: the only place that judges keys, for the API and the dashboard."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from app.errors import Problem
from app.services import Services
from core.db import Record
from core.keys import KeyMalformed, is_key_of, parse
from core.limits import stricter
from core.queries import key_statement
from core.scopes import OPERATOR, granted

CACHE_SECONDS = 1.0  # a revoked key works no longer than this
CACHE_CAPACITY = 1000


FAMILY_OF_PATH = {
    "jobs": "jobs",
    "artifacts": "jobs",
    "estimates": "jobs",
    "compare": "jobs",
    "uploads": "models",
    "files": "models",
    "models": "models",
    "datasets": "models",
    "webhooks": "webhooks",
}
"""Which scopes the paths below /v1 ask for, by their first part."""

OPEN_TO_EVERY_KEY = frozenset({"limits", "me", "methods", "projects", "signing-keys", "usage"})
"""What tells a key of itself and of the service. (More than to read, `projects` asks for `organization:admin`.)"""


def scope_for(path: str, wanted: str | None) -> str | None:
    """Return the scope that a path asks for: `read` of /v1/artifacts/… is `jobs:read`; None where any key will do.

    A path that is in neither table asks for a scope that nobody has: who adds one must say whose it is.
    """
    if wanted not in ("read", "write"):
        return wanted
    first = path.removeprefix("/v1/").partition("/")[0]
    return None if first in OPEN_TO_EVERY_KEY else f"{FAMILY_OF_PATH.get(first, first)}:{wanted}"


@dataclass(frozen=True)
class Identity:
    """What a verified key stands for; `public_id` is the part of the key by which its row is found."""

    key_id: str
    key_name: str
    public_id: str
    project_id: str
    organization_id: str
    scopes: frozenset[str]
    granted: frozenset[str]
    expires_at: datetime | None
    requests_per_minute: int | None

    def may(self, scope: str | None) -> bool:
        """Say whether the key has a scope, by its name or by one that includes it; None is had by all."""
        return scope is None or scope in self.granted

    @property
    def is_operator(self) -> bool:
        """Say whether the key may see what belongs to all organisations: the dashboard and the metrics."""
        return OPERATOR in self.granted


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


async def identify(services: Services, cache: KeyCache, key: str) -> Identity:
    """Return what the key stands for, or raise `unauthorized` or `key-expired`."""
    known = cache.get(key)
    if known is not None and not _is_over(known.expires_at):
        return known
    identity = await _look_up(services, key)
    cache.put(key, identity)
    services.key_uses.note(identity.key_id)
    return identity


async def still_known(services: Services, public_id: str) -> Identity | None:
    """Read again what a key stands for that was verified before; None once it was revoked, ran out or is gone."""
    row = await services.database.fetch_one(key_statement(public_id=public_id))
    if row is None or row["revoked_at"] is not None or _is_over(row["expires_at"]):
        return None
    return _identity(row)


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
    return _identity(row)


def _identity(row: Record) -> Identity:
    return Identity(
        key_id=row["id"],
        key_name=row["name"],
        public_id=row["public_id"],
        project_id=row["project_id"],
        organization_id=row["organization_id"],
        scopes=frozenset(row["scopes"]),
        granted=granted(row["scopes"], row["project_id"]),
        expires_at=row["expires_at"],
        requests_per_minute=stricter(row["project_requests"], row["organization_requests"]),
    )


def _is_over(moment: datetime | None) -> bool:
    return moment is not None and moment <= datetime.now(UTC)
