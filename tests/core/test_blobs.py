"""Bytes that nobody names leave the store, and never those that somebody is about to name."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from core.blobs import GRACE, delete_unused, publish
from core.db import Database, utc_now
from core.storage import Storage, open_storage
from core.tables import Blob
from engine.recipe import Recipe
from tests.conftest import make_settings
from tests.core.samples import add_model

CONTENT = b"bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def put(database: Database, storage: Storage, folder: Path) -> None:
    path = folder / "incoming"
    path.write_bytes(CONTENT)
    publish(database, storage, path, SHA256)


def grow_old(database: Database) -> None:
    with database.transaction() as session:
        session.execute(update(Blob).values(touched_at=utc_now(session) - GRACE - timedelta(seconds=1)))


def test_what_nobody_names_goes_after_the_grace(database: Database, storage: Storage, tmp_path: Path) -> None:
    put(database, storage, tmp_path)
    assert delete_unused(database, storage) == 0

    grow_old(database)
    assert delete_unused(database, storage) == 1

    assert not storage.exists(SHA256)
    with database.transaction() as session:
        assert session.scalars(select(Blob)).all() == []


def test_what_is_named_stays(database: Database, storage: Storage, tmp_path: Path) -> None:
    put(database, storage, tmp_path)
    with database.transaction() as session:
        add_model(session, SHA256, len(CONTENT))
    grow_old(database)

    assert delete_unused(database, storage) == 0

    assert storage.exists(SHA256)


def test_old_bytes_that_are_published_again_are_fresh(database: Database, storage: Storage, tmp_path: Path) -> None:
    put(database, storage, tmp_path)
    grow_old(database)
    put(database, storage, tmp_path)

    assert delete_unused(database, storage) == 0


def test_who_publishes_what_is_just_being_deleted_stores_it_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(make_settings(tmp_path))
    put(database, storage, tmp_path)
    grow_old(database)
    publisher = threading.Thread(target=put, args=(database, storage, tmp_path))
    delete_bytes = storage.delete

    def delete_while_another_publishes(sha256: str) -> None:
        publisher.start()
        publisher.join(0.3)
        assert publisher.is_alive(), "it has to wait for the end of the deletion"
        delete_bytes(sha256)

    monkeypatch.setattr(storage, "delete", delete_while_another_publishes)
    assert delete_unused(database, storage) == 1
    publisher.join()

    assert storage.exists(SHA256)
    with database.transaction() as session:
        assert session.get(Blob, SHA256) is not None


def test_the_grace_is_longer_than_any_attempt(tmp_path: Path) -> None:
    longest = max(limit.le for limit in Recipe.model_fields["budget_seconds"].metadata if hasattr(limit, "le"))

    assert timedelta(seconds=longest + make_settings(tmp_path).job_grace_seconds) < GRACE
