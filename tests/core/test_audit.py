"""The chain of the audit log: any edit, deletion or move is found; the rows themselves resist."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from core.audit import Deed, End, append, faults, hash_of, seal_of
from core.db import Database
from core.tables import DEFAULT_ORGANIZATION_ID, AuditEntry, Organization

PEPPER = b"a test's"
Entry = dict[str, Any]


def deed(number: int = 0, **changes: Any) -> Deed:
    values: dict[str, Any] = {"actor": "key_x", "actor_name": "ci \N{SNOWMAN}", "action": "POST /v1/jobs"}
    return Deed(**{**values, "target": f"/v1/jobs/job_{number}", "address": "127.0.0.1", **changes})


def written(database: Database, count: int) -> list[Entry]:
    """Write entries and read them back."""
    for number in range(count):
        database.do(lambda s, n=number: append(s, DEFAULT_ORGANIZATION_ID, deed(n, details={"n": n}), PEPPER))
    with database.transaction() as session:
        rows = session.execute(select(*AuditEntry.__table__.columns).order_by(AuditEntry.seq))
        return [dict(row._mapping) for row in rows]


def chain(count: int) -> list[Entry]:
    """Make entries without a database."""
    entries: list[Entry] = []
    for number in range(count):
        entry = {
            "organization_id": "org_x",
            "seq": number + 1,
            "at": datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=number),
            "project_id": None,
            "actor": "key_x",
            "actor_name": "x",
            "action": "DELETE /v1/jobs/{job_id}",
            "target": f"/v1/jobs/{number}",
            "address": None,
            "request_id": f"req_{number}",
            "details": {},
            "previous_hash": entries[-1]["hash"] if entries else "",
        }
        entries.append(entry | {"hash": hash_of(entry)})
    return entries


def test_entries_follow_one_another_and_the_end_is_sealed(database: Database) -> None:
    entries = written(database, 3)

    assert [entry["seq"] for entry in entries] == [1, 2, 3]
    assert list(faults(entries)) == []
    with database.transaction() as session:
        organization = session.get_one(Organization, DEFAULT_ORGANIZATION_ID)
        end = End(organization.audit_seq, organization.audit_hash)
        assert end == End(3, entries[-1]["hash"])
        assert organization.audit_seal == seal_of(DEFAULT_ORGANIZATION_ID, end, PEPPER)


def test_entries_that_are_written_at_once_make_one_chain(database: Database) -> None:
    threads = [threading.Thread(target=written, args=(database, 4)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = written(database, 0)
    assert len(entries) == 16
    assert list(faults(entries)) == []


def test_a_change_that_is_rolled_back_leaves_no_entry(database: Database) -> None:
    def fall(session: Any) -> None:
        append(session, DEFAULT_ORGANIZATION_ID, deed(), PEPPER)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.do(fall)

    assert written(database, 0) == []


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
def test_the_database_itself_refuses_changes_of_entries(database: Database, change: str) -> None:
    written(database, 1)

    with pytest.raises(DatabaseError, match="never changes"), database.transaction() as session:
        session.execute(text(change))


@given(st.integers(1, 12), st.data())
def test_any_edit_of_any_member_is_found(count: int, data: st.DataObject) -> None:
    entries = chain(count)
    place = data.draw(st.integers(0, count - 1))
    member = data.draw(st.sampled_from(sorted(entries[place])))
    entries[place] = entries[place] | {member: edited(entries[place][member])}

    assert list(faults(entries))


def edited(value: Any) -> Any:
    """Return a value of the same kind that is another."""
    match value:
        case datetime():
            return value + timedelta(microseconds=1)
        case int():
            return value + 1
        case dict():
            return {"x": 1}
    return f"{value or ''}x"


def recomputed(entries: list[Entry], place: int) -> None:
    """Give an entry the hash that it should have."""
    entries[place]["hash"] = hash_of(entries[place])


def edit_with_a_new_hash(entries: list[Entry], place: int) -> None:
    entries[place]["actor"] = "key_other"
    recomputed(entries, place)


def remove(entries: list[Entry], place: int) -> None:
    del entries[place]


def remove_and_renumber(entries: list[Entry], place: int) -> None:
    del entries[place]
    for number in range(place, len(entries)):
        entries[number]["seq"] -= 1
        recomputed(entries, number)


def swap(entries: list[Entry], place: int) -> None:
    entries[place], entries[place + 1] = entries[place + 1], entries[place]


def swap_numbers(entries: list[Entry], place: int) -> None:
    one, other = entries[place], entries[place + 1]
    one["seq"], other["seq"] = other["seq"], one["seq"]
    recomputed(entries, place)
    recomputed(entries, place + 1)
    swap(entries, place)


def double(entries: list[Entry], place: int) -> None:
    entries.insert(place + 1, dict(entries[place]))


@pytest.mark.parametrize(
    "tamper", [edit_with_a_new_hash, remove, remove_and_renumber, swap, swap_numbers, double], ids=lambda f: f.__name__
)
def test_whatever_is_done_to_an_entry_is_found_at_the_entry_behind_it(
    tamper: Callable[[list[Entry], int], None],
) -> None:
    for seed in range(20):
        entries = chain(10)
        tamper(entries, random.Random(seed).randrange(1, 8))

        assert list(faults(entries)), seed
