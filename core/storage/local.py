"""Blobs as files in a folder: made durable under a temporary name, renamed, and the folder made durable too."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.settings import Settings
from core.storage.base import CHUNK_BYTES, BlobCorrupt, BlobMissing, StorageFull, StorageUnavailable, key_of


class LocalStorage:
    """Files under `folder`. What arrives from the same filesystem is renamed into place, not copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drafts = folder / "drafts"
        self._drafts.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, settings: Settings) -> LocalStorage:
        if settings.storage_url:
            return cls(Path(unquote(urlsplit(settings.storage_url).path)))
        return cls(settings.data_dir / "blobs")

    def put_file(self, path: Path, sha256: str) -> None:
        target = self.folder / key_of(sha256)
        with _storage_errors(sha256):
            if not target.exists():
                self._make_folder(target.parent)
                self._publish(path, target)
                _sync(target.parent)
        path.unlink(missing_ok=True)

    def fetch(self, sha256: str, path: Path) -> None:
        counted = hashlib.sha256()
        with _storage_errors(sha256), (self.folder / key_of(sha256)).open("rb") as source, path.open("xb") as copy:
            while chunk := source.read(CHUNK_BYTES):
                counted.update(chunk)
                copy.write(chunk)
        if counted.hexdigest() != sha256:
            path.unlink()
            raise BlobCorrupt(f"The stored bytes of {sha256} have another sha256: {counted.hexdigest()}.")

    async def stream(self, sha256: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        # Read inline: a chunk that the system has cached costs less than a change of thread.
        with _storage_errors(sha256), (self.folder / key_of(sha256)).open("rb") as file:
            file.seek(start)
            left = (stop if stop is not None else os.fstat(file.fileno()).st_size) - start
            while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk

    def exists(self, sha256: str) -> bool:
        return (self.folder / key_of(sha256)).exists()

    def size(self, sha256: str) -> int:
        with _storage_errors(sha256):
            return (self.folder / key_of(sha256)).stat().st_size

    def delete(self, sha256: str) -> None:
        (self.folder / key_of(sha256)).unlink(missing_ok=True)

    def download_url(self, sha256: str, *, name: str, media_type: str, seconds: int) -> None:
        """A folder has no address of its own."""

    @property
    def direct(self) -> None:
        """Nobody but this machine reaches the folder."""

    def _publish(self, path: Path, target: Path) -> None:
        """Rename the file into place; from another filesystem, by way of a draft that no reader looks for."""
        if path.stat().st_dev == self.folder.stat().st_dev:
            _sync(path)
            path.replace(target)
            return
        with tempfile.NamedTemporaryFile(dir=self._drafts) as draft, path.open("rb") as source:
            shutil.copyfileobj(source, draft, CHUNK_BYTES)
            draft.flush()
            os.fsync(draft.fileno())
            with suppress(FileExistsError):  # another process has put the same bytes meanwhile
                os.link(draft.name, target)

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            return
        _sync(self.folder)


def _sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storage_errors(sha256: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing(f"There are no bytes stored under {sha256}.") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("There is no room left for files.") from error
        raise StorageUnavailable(f"The store of files does not work: {error}.") from error
