"""The audit log: one chain of entries for each organisation, in which every entry holds the hash of the one before.

Whoever changes, removes or moves an entry breaks the chain, and whoever writes a new chain lacks the pepper that its
end is sealed with. Written in the transaction that makes the change: no change without its entry, and no entry without.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from core.db import Change, Query, utc_now
from core.tables import Row

SYSTEM: Final = "system"
"""The actor of what no key has asked for, such as the sweep."""

_ENTRIES, _ORGANIZATIONS = Row.metadata.tables["audit"], Row.metadata.tables["organizations"]
_LOCK_END: Final = Query(
    select(_ORGANIZATIONS.c.audit_seq.label("seq"), _ORGANIZATIONS.c.audit_hash.label("hash"))
    .where(_ORGANIZATIONS.c.id == bindparam("organization_id"))
    .with_for_update(key_share=True)
)
_ADD: Final = Change(insert(_ENTRIES))
_MOVE_END: Final = Change(
    update(_ORGANIZATIONS)
    .where(_ORGANIZATIONS.c.id == bindparam("of"))
    .values(audit_seq=bindparam("seq"), audit_hash=bindparam("hash"), audit_seal=bindparam("seal"))
)

HASHED: Final = tuple(column.name for column in _ENTRIES.columns if column.name != "hash")


@dataclass(frozen=True)
class Deed:
    """Who did what to what, from where. Never holds a secret."""

    actor: str
    actor_name: str
    action: str
    target: str
    project_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """How far a chain goes; of nothing yet, `End()`."""

    seq: int = 0
    hash: str = ""


def append(session: Session, organization_id: str, deed: Deed, pepper: bytes) -> None:
    """Add an entry. The last step of a transaction: the end of the chain stays locked until it is over."""
    session.flush()
    found = _LOCK_END(organization_id=organization_id).one(session)
    assert found is not None
    end = End(**found)
    entry = {
        "organization_id": organization_id,
        "seq": end.seq + 1,
        "at": utc_now(session),
        "project_id": deed.project_id,
        "actor": deed.actor,
        "actor_name": deed.actor_name[:200],
        "action": deed.action[:300],
        "target": deed.target[:500],
        "address": deed.address,
        "request_id": deed.request_id,
        "details": dict(deed.details),
        "previous_hash": end.hash,
    }
    added = End(end.seq + 1, hash_of(entry))
    seal = seal_of(organization_id, added, pepper)
    _ADD(session, **entry, hash=added.hash)
    _MOVE_END(session, of=organization_id, seq=added.seq, hash=added.hash, seal=seal)


def hash_of(entry: Mapping[str, Any]) -> str:
    """Return the sha256 of an entry as canonical JSON: sorted keys, no spaces, the moment to the microsecond in UTC."""
    content = {name: entry[name] for name in HASHED} | {"at": _moment(entry["at"])}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal_of(organization_id: str, end: End, pepper: bytes) -> str:
    """Return what only the holder of the pepper can say of the end of a chain."""
    return hmac.new(pepper, f"audit {organization_id} {end.seq} {end.hash}".encode(), hashlib.sha256).hexdigest()


def faults(entries: Iterable[Mapping[str, Any]], start: End | None = None) -> Iterator[str]:
    """Name every place where a chain, in the order of its entries, is not what was written: changed, missing, moved.

    `start` is the entry before the first; by default the chain begins at its beginning.
    """
    before = start or End()
    for entry in entries:
        seq = int(entry["seq"])
        if seq > before.seq + 1:
            yield f"Entries {before.seq + 1} to {seq - 1} are missing."
        elif seq <= before.seq:
            yield f"Entry {seq} stands behind entry {before.seq}: it was moved or doubled."
        elif entry["previous_hash"] != before.hash:
            yield f"Entry {seq} does not follow the entry before it: one of the two was replaced."
        if hash_of(entry) != entry["hash"]:
            yield f"Entry {seq} was changed after it was written."
        before = End(max(seq, before.seq), str(entry["hash"]) if seq >= before.seq else before.hash)


def _moment(value: datetime | str) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
