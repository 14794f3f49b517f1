"""Keys: shown once, stored as a keyed hash, typing errors found without a database."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select

from core.db import Database
from core.ids import ALPHABET
from core.keys import KeyMalformed, PepperMissing, ensure_admin_key, hash_key, is_key_of, load_pepper, new_key, parse
from core.settings import Settings
from core.tables import ApiKey
from tests.conftest import make_settings


def test_a_key_names_its_row_and_matches_only_its_own_hash() -> None:
    key, other = new_key(), new_key()
    stored = hash_key(key, b"pepper")

    assert key.startswith(f"sct_{parse(key)}_")
    assert is_key_of(key, stored, b"pepper")
    assert not is_key_of(other, stored, b"pepper")
    assert not is_key_of(key, stored, b"another pepper")
    assert not is_key_of(key, None, b"pepper")


@given(st.integers(4, 75), st.sampled_from(ALPHABET))
def test_one_wrong_letter_is_found_offline(place: int, letter: str) -> None:
    key = new_key()
    wrong = key[:place] + letter + key[place + 1 :]

    if wrong == key:
        assert parse(wrong)
    else:
        with pytest.raises(KeyMalformed):
            parse(wrong)


@pytest.mark.parametrize("text", ["", "sct_", "Bearer x", "sct_0123456789ab_short", "\N{SNOWMAN}" * 76])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyMalformed):
        parse(text)


def test_the_first_start_makes_one_admin_key_and_shows_it_once(database: Database, settings: Settings) -> None:
    key = ensure_admin_key(database, settings)

    assert key is not None
    assert ensure_admin_key(database, settings) is None
    with database.transaction() as session:
        row = session.scalars(select(ApiKey)).one()
    assert row.public_id == parse(key)
    assert is_key_of(key, row.key_hash, load_pepper(settings))
    assert "admin" in row.scopes
    assert key not in repr(row.__dict__)


def test_processes_that_start_at_once_make_one_key(database: Database, settings: Settings) -> None:
    made: list[str | None] = []
    threads = [threading.Thread(target=lambda: made.append(ensure_admin_key(database, settings))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 4
    assert sum(key is not None for key in made) == 1


def test_a_key_from_the_settings_is_the_admin_key(database: Database, settings: Settings) -> None:
    key = new_key()
    given_key = Settings.model_validate({**settings.model_dump(), "admin_key": key})

    assert ensure_admin_key(database, given_key) is None
    assert ensure_admin_key(database, given_key) is None

    with database.transaction() as session:
        assert session.scalars(select(ApiKey)).one().public_id == parse(key)


def test_another_key_in_the_settings_takes_the_old_ones_place(database: Database, settings: Settings) -> None:
    for _ in range(2):
        key = new_key()
        assert ensure_admin_key(database, settings.model_copy(update={"admin_key": SecretStr(key)})) is None

    with database.transaction() as session:
        assert session.scalars(select(ApiKey)).one().public_id == parse(key)


def test_the_key_in_the_settings_works_after_a_change_of_the_pepper(database: Database, settings: Settings) -> None:
    key = new_key()
    for pepper in ("old", "new"):
        given_both = {"admin_key": SecretStr(key), "key_pepper": SecretStr(pepper)}
        ensure_admin_key(database, settings.model_copy(update=given_both))

    with database.transaction() as session:
        assert is_key_of(key, session.scalars(select(ApiKey)).one().key_hash, b"new")


def test_a_change_of_the_pepper_shows_a_new_admin_key(database: Database, settings: Settings) -> None:
    ensure_admin_key(database, settings.model_copy(update={"key_pepper": SecretStr("old")}))

    key = ensure_admin_key(database, settings.model_copy(update={"key_pepper": SecretStr("new")}))

    assert key is not None
    with database.transaction() as session:
        assert is_key_of(key, session.scalars(select(ApiKey)).one().key_hash, b"new")


def test_a_shared_database_asks_for_a_shared_pepper(tmp_path: Path) -> None:
    shared = make_settings(tmp_path, database_url="postgresql://somewhere/secateur")

    with pytest.raises(PepperMissing, match="SECATEUR_KEY_PEPPER"):
        load_pepper(shared)


def test_the_pepper_is_made_once_and_is_private(sqlite_settings: Settings) -> None:
    first = load_pepper(sqlite_settings)

    assert load_pepper(sqlite_settings) == first
    assert stat.S_IMODE((sqlite_settings.data_dir / "key-pepper").stat().st_mode) == 0o600
