"""API keys: `sct_<public id>_<secret><check>`. Shown once, stored as a keyed hash, refused offline when mistyped."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.audit import SYSTEM, Deed, append
from core.db import Database, insert_if_absent, utc_now
from core.ids import ALPHABET, new_id
from core.scopes import DEFAULT_PROJECT_ID
from core.settings import Settings
from core.tables import DEFAULT_ORGANIZATION_ID, ApiKey, Project

PREFIX: Final = "sct"
ADMIN_SCOPES: Final = ("read", "write", "admin")
ADMIN_KEY_ID: Final = "key_admin"
"""The row of the admin key that the first start made, or that the settings name."""

PUBLIC_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 12, 52, 7  # 60, 260 and 35 bits in base 32
log = structlog.get_logger()

_SHAPE: Final = re.compile(
    rf"{PREFIX}_([{ALPHABET}]{{{PUBLIC_LENGTH}}})_[{ALPHABET}]{{{SECRET_LENGTH + CHECK_LENGTH}}}"
)


class KeyMalformed(ValueError):
    """The text is no key of ours: wrong shape, or a typing error that the check found."""


class PepperMissing(ValueError):
    """A shared database needs a shared secret for its keys."""


def new_key() -> str:
    """Return a fresh key with 260 random bits."""
    body = f"{PREFIX}_{_random_text(PUBLIC_LENGTH)}_{_random_text(SECRET_LENGTH)}"
    return body + _check(body)


def parse(key: str) -> str:
    """Return the key's public id, by which its row is found. Raises KeyMalformed."""
    match = _SHAPE.fullmatch(key)
    if match is None or _check(key[:-CHECK_LENGTH]) != key[-CHECK_LENGTH:]:
        raise KeyMalformed("This is not a key of this service, or it was not copied whole.")
    return match[1]


def hash_key(key: str, pepper: bytes) -> str:
    """Return what is stored in the key's place. A slow hash would buy nothing against 260 random bits."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


def is_key_of(key: str, key_hash: str | None, pepper: bytes) -> bool:
    """Compare in constant time; an unknown key (`key_hash` None) costs as much as a wrong one."""
    return hmac.compare_digest(hash_key(key, pepper), key_hash or "0" * 64)


def load_pepper(settings: Settings) -> bytes:
    """Return the secret of the keyed hash: from the settings, or from a file in `data_dir` that is made once.

    Raises PepperMissing where the database is shared: a file is not, and each machine would know its own keys only.
    """
    if settings.key_pepper is not None:
        return settings.key_pepper.get_secret_value().encode()
    if settings.database_url is not None:
        raise PepperMissing(
            "SECATEUR_DATABASE_URL is set and SECATEUR_KEY_PEPPER is not. Set SECATEUR_KEY_PEPPER to one long random "
            "text, the same for every process that uses this database."
        )
    path = settings.data_dir / "key-pepper"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write_once(path, secrets.token_hex(32).encode())
    return path.read_bytes()


def create_key(
    session: Session,
    *,
    project_id: str,
    name: str,
    scopes: Sequence[str],
    pepper: bytes,
    key: str | None = None,
    row_id: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a key, `key` or a fresh one; return its row and the key itself, which is never to be had again."""
    key = key or new_key()
    row = ApiKey(
        id=row_id or new_id("key"),
        project_id=project_id,
        name=name,
        public_id=parse(key),
        key_hash=hash_key(key, pepper),
        pepper_id=pepper_id(pepper),
        scopes=list(scopes),
        created_at=utc_now(session),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, key


def pepper_id(pepper: bytes) -> str:
    """Return what tells one secret from another and nothing more."""
    return hmac.new(pepper, b"which pepper", hashlib.sha256).hexdigest()[:16]


def ensure_admin_key(database: Database, settings: Settings) -> str | None:
    """Make the project `default` and its admin key where they are missing; return the key if it was made just now.

    `settings.admin_key` is used in place of a fresh key, and then nothing is returned: its owner knows it. There is
    one such key at a time: another in the settings takes the old one's place. After a change of the pepper no key
    works any more, and the admin key is made again.
    """
    pepper = load_pepper(settings)
    with database.transaction() as session:
        insert_if_absent(session, Project, id=DEFAULT_PROJECT_ID, name="default", created_at=utc_now(session))
        session.get_one(Project, DEFAULT_PROJECT_ID, with_for_update=True)  # of two processes, one makes the key
        if settings.admin_key is None:
            return _ensure_any_key(session, pepper)
        _ensure_given_key(session, settings.admin_key.get_secret_value(), pepper)
        return None


def _ensure_any_key(session: Session, pepper: bytes) -> str | None:
    keys = session.scalars(select(ApiKey).where(ApiKey.project_id == DEFAULT_PROJECT_ID)).all()
    if any(key.pepper_id == pepper_id(pepper) for key in keys):
        return None
    if keys:
        log.warning("keys.pepper_changed", consequence="no key made before works any more; here is a new admin key")
    return _replace_admin_key(session, pepper, None)


def _ensure_given_key(session: Session, given: str, pepper: bytes) -> None:
    row = session.scalars(select(ApiKey).where(ApiKey.public_id == parse(given))).first()
    if row is None:
        _replace_admin_key(session, pepper, given)
    elif not is_key_of(given, row.key_hash, pepper):
        log.warning("keys.admin_key_changed", consequence="the key of the settings replaces the stored one")
        row.key_hash, row.pepper_id = hash_key(given, pepper), pepper_id(pepper)
        _note(session, f"/v1/keys/{row.id}", pepper)


def _replace_admin_key(session: Session, pepper: bytes, key: str | None) -> str:
    if session.execute(delete(ApiKey).where(ApiKey.id == ADMIN_KEY_ID).returning(ApiKey.id)).first() is not None:
        log.warning("keys.admin_key_replaced", consequence="the admin key before it is no longer valid")
    _, plain = create_key(
        session,
        project_id=DEFAULT_PROJECT_ID,
        name="admin",
        scopes=ADMIN_SCOPES,
        pepper=pepper,
        key=key,
        row_id=ADMIN_KEY_ID,
    )
    _note(session, f"/v1/keys/{ADMIN_KEY_ID}", pepper)
    return plain


def _note(session: Session, target: str, pepper: bytes) -> None:
    """Write into the audit log that the start of the server, and no key, has made or replaced a key."""
    deed = Deed(SYSTEM, "start", "POST /v1/keys", target, DEFAULT_PROJECT_ID, details={"scopes": list(ADMIN_SCOPES)})
    append(session, DEFAULT_ORGANIZATION_ID, deed, pepper)


def _random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _check(body: str) -> str:
    number = zlib.crc32(body.encode())
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(CHECK_LENGTH)))


def _write_once(path: Path, secret: bytes) -> None:
    """Make the file, readable by its owner only, whole or not at all; whoever comes second keeps the first one's."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
