"""Whom a key stands for, and what that one may see: the only place that judges keys, for the API and the dashboard."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from app.errors import Problem
from app.services import Services
from core.db import Record
from core.keys import DEFAULT_PROJECT_ID, KeyMalformed, is_key_of, parse
from core.queries import key_statement

CACHE_SECONDS = 1.0  # a revoked key works no longer than this
CACHE_CAPACITY = 1000


@dataclass(frozen=True)
class Identity:
    """What a verified key stands for; `public_id` is the part of the key by which its row is found."""

    key_id: str
    key_name: str
    public_id: str
    project_id: str
    scopes: frozenset[str]
    expires_at: datetime | None

    def may(self, scope: str) -> bool:
        """Say whether the key has a scope; admin includes all."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def is_operator(self) -> bool:
        """Say whether the key may see what belongs to all projects: the dashboard and the metrics."""
        return self.may("admin") and self.project_id == DEFAULT_PROJECT_ID


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
    scopes = frozenset(row["scopes"])
    return Identity(row["id"], row["name"], row["public_id"], row["project_id"], scopes, row["expires_at"])


def _is_over(moment: datetime | None) -> bool:
    return moment is not None and moment <= datetime.now(UTC)
