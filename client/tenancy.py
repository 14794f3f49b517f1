"""Projects, their keys and what they use, as methods of `client.projects` and `client.keys`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from client.connection import Connection


@dataclass(frozen=True)
class Project:
    """Everything that a key makes belongs to its project. `limits` are those that it sets itself; None: none is set."""

    id: str
    organization_id: str
    name: str
    limits: Mapping[str, int | None]
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Key:
    """A key of the API. `secret` is there when it was made just now, and never again."""

    id: str
    name: str
    scopes: tuple[str, ...]
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    secret: str | None = field(repr=False)
    raw: dict[str, Any] = field(repr=False)


class Projects:
    """What the service offers at /v1/projects; all but `usage` of one's own project needs `organization:admin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, page_size: int = 50) -> Iterator[Project]:
        """Yield the organisation's projects, newest first."""
        return map(_project, self._connection.pages("/v1/projects", "projects", {"page_size": page_size}))

    def create(self, name: str, **limits: int | None) -> Project:
        """Make a project with these limits; what is not named is not limited here."""
        return _project(self._connection.post("/v1/projects", {"name": name, "limits": limits}).json())

    def get(self, project_id: str) -> Project:
        return _project(self._connection.request("GET", _path(project_id)).json())

    def update(self, project_id: str, *, name: str | None = None, **limits: int | None) -> Project:
        """Change the name, or limits; None lifts one, and what is not named stays."""
        changes = ({} if name is None else {"name": name}) | ({"limits": limits} if limits else {})
        return _project(self._connection.request("PATCH", _path(project_id), json=changes).json())

    def delete(self, project_id: str) -> None:
        """Delete a project that has nothing any more; its keys go with it."""
        self._connection.request("DELETE", _path(project_id))

    def usage(self, project_id: str | None = None, *, month: str | None = None) -> dict[str, Any]:
        """Return what a project has and may have, and what its jobs took in a month, 2026-11; by default one's own."""
        path = "/v1/usage" if project_id is None else f"{_path(project_id)}/usage"
        usage: dict[str, Any] = self._connection.request("GET", path, params={"month": month} if month else {}).json()
        return usage


class Keys:
    """What the service offers at /v1/keys, and for another project of the organisation at /v1/projects/…/keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, project_id: str | None = None) -> list[Key]:
        """Return a project's keys, those taken back too."""
        return [_key(raw) for raw in self._connection.request("GET", _keys_path(project_id)).json()["keys"]]

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("read", "write"),
        expires_at: datetime | None = None,
        project_id: str | None = None,
    ) -> Key:
        """Make a key, of no more scopes than one's own. Keep the secret of what comes back.

        Sent once: an answer that is lost on its way is not asked for again, for it would be another key's.
        """
        body = {"name": name, "scopes": list(scopes)}
        moment = {} if expires_at is None else {"expires_at": expires_at.isoformat()}
        return _key(self._connection.post_once(_keys_path(project_id), body | moment).json())

    def revoke(self, key_id: str, *, project_id: str | None = None) -> None:
        """Take a key back; within a second it opens nothing more."""
        self._connection.request("DELETE", f"{_keys_path(project_id)}/{quote(key_id, safe='')}")


def _path(project_id: str) -> str:
    return f"/v1/projects/{quote(project_id, safe='')}"


def _keys_path(project_id: str | None) -> str:
    return "/v1/keys" if project_id is None else f"{_path(project_id)}/keys"


def _project(raw: Mapping[str, Any]) -> Project:
    return Project(
        id=str(raw["id"]),
        organization_id=str(raw["organization_id"]),
        name=str(raw["name"]),
        limits=dict(raw.get("limits") or {}),
        raw=dict(raw),
    )


def _key(raw: Mapping[str, Any]) -> Key:
    return Key(
        id=str(raw["id"]),
        name=str(raw["name"]),
        scopes=tuple(raw.get("scopes") or ()),
        expires_at=raw.get("expires_at"),
        revoked_at=raw.get("revoked_at"),
        last_used_at=raw.get("last_used_at"),
        secret=raw.get("key"),
        raw=dict(raw),
    )
