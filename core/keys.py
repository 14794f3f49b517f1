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

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import Database, insert_if_absent, utc_now
from core.ids import ALPHABET, new_id
from core.settings import Settings
from core.tables import ApiKey, Project

PREFIX: Final = "sct"
SCOPES: Final = ("read", "write", "admin")
DEFAULT_PROJECT_ID: Final = "prj_default"

PUBLIC_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 12, 52, 7  # 60, 260 and 35 bits in base 32
_SHAPE: Final = re.compile(
    rf"{PREFIX}_([{ALPHABET}]{{{PUBLIC_LENGTH}}})_[{ALPHABET}]{{{SECRET_LENGTH + CHECK_LENGTH}}}"
)


class KeyMalformed(ValueError):
    """The text is no key of ours: wrong shape, or a typing error that the check found."""


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
    """Return the secret of the keyed hash: from the settings, or from a file in `data_dir` that is made once."""
    if settings.key_pepper is not None:
        return settings.key_pepper.get_secret_value().encode()
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
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a key, `key` or a fresh one; return its row and the key itself, which is never to be had again."""
    key = key or new_key()
    row = ApiKey(
        id=new_id("key"),
        project_id=project_id,
        name=name,
        public_id=parse(key),
        key_hash=hash_key(key, pepper),
        scopes=list(scopes),
        created_at=utc_now(session),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, key


def ensure_admin_key(database: Database, settings: Settings) -> str | None:
    """Make the project `default` and its admin key where they are missing; return the key if it was made just now.

    `settings.admin_key` is used in place of a fresh key, and then nothing is returned: its owner knows it.
    """
    pepper = load_pepper(settings)
    with database.transaction() as session:
        insert_if_absent(session, Project, id=DEFAULT_PROJECT_ID, name="default", created_at=utc_now(session))
        session.get_one(Project, DEFAULT_PROJECT_ID, with_for_update=True)  # of two processes, one makes the key
        return _ensure_key(session, settings.admin_key, pepper)


def _ensure_key(session: Session, given: SecretStr | None, pepper: bytes) -> str | None:
    keys = select(ApiKey).where(ApiKey.project_id == DEFAULT_PROJECT_ID)
    if given is None:
        if session.scalars(keys).first() is not None:
            return None
        return _create_admin_key(session, pepper, None)
    if session.scalars(keys.where(ApiKey.public_id == parse(given.get_secret_value()))).first() is None:
        _create_admin_key(session, pepper, given.get_secret_value())
    return None


def _create_admin_key(session: Session, pepper: bytes, key: str | None) -> str:
    _, plain = create_key(session, project_id=DEFAULT_PROJECT_ID, name="admin", scopes=SCOPES, pepper=pepper, key=key)
    return plain


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
