"""Blobs as objects in a bucket that speaks S3, over obstore."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from core.settings import Settings
from core.storage.base import CHUNK_BYTES, BlobCorrupt, BlobMissing, StorageUnavailable, key_of
from core.storage.s3_direct import S3Direct

PART_BYTES: Final = 8 * 1024 * 1024


class S3Storage:
    """Objects in one bucket. A put is atomic: an object that is not complete cannot be seen."""

    def __init__(self, store: S3Store, direct: S3Direct) -> None:
        self._store = store
        self.direct = direct

    @classmethod
    def open(cls, settings: Settings) -> S3Storage:
        """Without keys in the settings, the usual AWS chain of credentials is asked."""
        url = urlsplit(settings.storage_url or "")
        options: dict[str, Any] = {}
        if settings.s3_endpoint:
            options["endpoint"] = settings.s3_endpoint
            options["client_options"] = {"allow_http": settings.s3_endpoint.startswith("http://")}
        if settings.s3_access_key_id and settings.s3_secret_access_key:
            options["access_key_id"] = settings.s3_access_key_id
            options["secret_access_key"] = settings.s3_secret_access_key.get_secret_value()
        prefix = url.path.strip("/") or None
        return cls(S3Store(url.netloc, prefix=prefix, region=settings.s3_region, **options), S3Direct(settings))

    def put_file(self, path: Path, sha256: str) -> None:
        with _storage_errors(sha256):
            if not self.exists(sha256):
                obstore.put(self._store, key_of(sha256), path, chunk_size=PART_BYTES, max_concurrency=4)
        path.unlink()

    def fetch(self, sha256: str, path: Path) -> None:
        counted = hashlib.sha256()
        with _storage_errors(sha256), path.open("xb") as copy:
            for chunk in obstore.get(self._store, key_of(sha256)).stream(min_chunk_size=CHUNK_BYTES):
                counted.update(chunk)
                copy.write(chunk)
        if counted.hexdigest() != sha256:
            path.unlink()
            raise BlobCorrupt(f"The stored bytes of {sha256} have another sha256: {counted.hexdigest()}.")

    async def stream(self, sha256: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        key = key_of(sha256)
        with _storage_errors(sha256):
            # Asked for in pieces: a client that reads slowly holds no connection to the store, and none times out.
            end = stop if stop is not None else (await obstore.head_async(self._store, key))["size"]
            for begin in range(start, end, PART_BYTES):
                piece = await obstore.get_range_async(self._store, key, start=begin, end=min(begin + PART_BYTES, end))
                yield bytes(piece)

    def exists(self, sha256: str) -> bool:
        try:
            self.size(sha256)
        except BlobMissing:
            return False
        return True

    def size(self, sha256: str) -> int:
        with _storage_errors(sha256):
            return int(obstore.head(self._store, key_of(sha256))["size"])

    def delete(self, sha256: str) -> None:
        with _storage_errors(sha256):
            obstore.delete(self._store, key_of(sha256))

    def download_url(self, sha256: str, *, name: str, media_type: str, seconds: int) -> str:
        return self.direct.download_url(sha256, name=name, media_type=media_type, seconds=seconds)


@contextmanager
def _storage_errors(sha256: str) -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise BlobMissing(f"There are no bytes stored under {sha256}.") from error
    except BaseError as error:
        raise StorageUnavailable(f"The store of files does not answer: {type(error).__name__}.") from error
