"""What a worker does now and then is done to its end."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from core.blobs import DELETED_AT_ONCE, GRACE
from core.db import utc_now
from core.queue import SilentBell
from core.tables import Blob
from worker.sweep import Caretaker
from worker.workplace import Workplace


def test_more_bytes_than_go_at_once_are_gone_with_the_next_sweep(place: Workplace) -> None:
    with place.database.transaction() as session:
        old = {"size_bytes": 1, "created_at": utc_now(session) - GRACE - timedelta(seconds=1)}
        session.add_all(Blob(sha256=f"{number:064x}", **old) for number in range(DELETED_AT_ONCE + 1))
    caretaker = Caretaker(place, SilentBell(), ["cpu"])

    left = []
    for _ in range(2):
        caretaker.sweep()
        with place.database.transaction() as session:
            left.append(session.scalar(select(func.count()).select_from(Blob)))

    assert left == [1, 0]
