"""Where bytes are kept, named by their sha256: one file for each kind of store, listed in STORAGES."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from core.settings import Settings
from core.storage.base import Storage
from core.storage.local import LocalStorage
from core.storage.s3 import S3Storage

__all__ = ["STORAGES", "Storage", "open_storage"]

STORAGES: Final[dict[str, Callable[[Settings], Storage]]] = {
    "file": LocalStorage.open,
    "s3": S3Storage.open,
}


def open_storage(settings: Settings) -> Storage:
    """Open the store that `storage_url` names: `s3://bucket/prefix`, `file:///folder`, or a folder in `data_dir`."""
    scheme = urlsplit(settings.storage_url).scheme if settings.storage_url else "file"
    if scheme not in STORAGES:
        raise ValueError(f"SECATEUR_STORAGE_URL begins with '{scheme}://'; known are {', '.join(STORAGES)}.")
    return STORAGES[scheme](settings)
