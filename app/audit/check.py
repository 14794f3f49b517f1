"""Whether audit logs are what was written: in the database, or in a file of what `GET /v1/audit` gave."""

from __future__ import annotations

import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from core.audit import End, faults, seal_of
from core.db import Database, Query
from core.tables import AuditEntry, Organization

PART: Final = 1000
Known = Mapping[str, Mapping[int, str]]
"""Hashes of entries that were noted elsewhere: by organisation and number."""

organizations_statement: Final = Query(select(*Organization.__table__.columns).order_by(Organization.id))
entries_statement: Final = Query(
    select(*AuditEntry.__table__.columns)
    .where(AuditEntry.organization_id == bindparam("organization_id"), AuditEntry.seq > bindparam("after"))
    .order_by(AuditEntry.seq)
    .limit(PART)
)


class Verdict(NamedTuple):
    """What is to be said of one organisation's log; `end` is worth keeping elsewhere: it vouches for all before it."""

    organization_id: str
    entries: int
    end: End
    faults: tuple[str, ...]


def check_database(database: Database, pepper: bytes, known: Known) -> Iterator[Verdict]:
    """Check every organisation's log, with its end and the seal on it."""
    organizations = {row["id"]: row for row in database.read_all(organizations_statement())}
    for name in known.keys() - organizations.keys():
        yield Verdict(name, 0, End(), ("There is no such organisation.",))
    for name, organization in organizations.items():
        found = _Read(_stored(database, name), known.get(name, {}))
        said = [*faults(found), *found.unlike_known()]
        said += _faults_of_end(organization, found.end, pepper)
        yield Verdict(name, found.count, found.end, tuple(said))


def check_file(path: Path, known: Known) -> Iterator[Verdict]:
    """Check entries that were kept: one JSON object a line, an entry or a page of them, in any order of pages.

    They may begin anywhere; what was cut off at the end only a known hash can tell.
    """
    logs: dict[str, dict[tuple[int, str], dict[str, Any]]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        read = json.loads(line) if line.strip() else {"entries": []}
        for entry in read.get("entries", [read]):
            logs[entry["organization_id"]][entry["seq"], entry["hash"]] = entry
    for name, log in sorted(logs.items()):
        entries = [log[key] for key in sorted(log)]
        found = _Read(entries, known.get(name, {}))
        start = End(entries[0]["seq"] - 1, entries[0]["previous_hash"])
        said = (*faults(found, start), *found.unlike_known())
        yield Verdict(name, found.count, found.end, said)


class _Read:
    """Counts entries on their way and remembers the last one."""

    def __init__(self, entries: Iterable[Mapping[str, Any]], known: Mapping[int, str]) -> None:
        self._entries, self._unlike = entries, dict(known)
        self.count, self.end = 0, End()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for entry in self._entries:
            yield entry
            self.count += 1
            self.end = End(entry["seq"], entry["hash"])
            if self._unlike.get(entry["seq"]) == entry["hash"]:
                del self._unlike[entry["seq"]]

    def unlike_known(self) -> Iterator[str]:
        for seq in self._unlike:
            yield f"Entry {seq} is not there with the hash that was given."


def _stored(database: Database, organization_id: str) -> Iterator[Mapping[str, Any]]:
    after = 0
    while part := database.read_all(entries_statement(organization_id=organization_id, after=after)):
        yield from part
        after = part[-1]["seq"]


def _faults_of_end(organization: Mapping[str, Any], end: End, pepper: bytes) -> Iterator[str]:
    noted = End(organization["audit_seq"], organization["audit_hash"])
    if noted.seq > end.seq:
        yield f"Entries {end.seq + 1} to {noted.seq} are missing."
    elif noted != end:
        yield f"The log ends with entry {end.seq}, and its organisation says it ends with entry {noted.seq}, otherwise."
    if noted.seq and not hmac.compare_digest(seal_of(organization["id"], noted, pepper), organization["audit_seal"]):
        yield "The seal of the end is not ours: it was written without the pepper, or the pepper was changed since."
