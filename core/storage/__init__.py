"""Where bytes are kept, named by their sha256: one file for each kind of store, listed in STORAGES."""

from __future__ import annotations

from importlib import import_module
from typing import Final
from urllib.parse import urlsplit

from core.settings import Settings
from core.storage.base import Storage

__all__ = ["STORAGES", "Storage", "open_storage"]

STORAGES: Final = {"file": ("core.storage.local", "LocalStorage"), "s3": ("core.storage.s3", "S3Storage")}
"""By the scheme of the URL. Only the one in use is imported: what speaks S3 costs half a second and 30 MB."""


def open_storage(settings: Settings) -> Storage:
    """Open the store that `storage_url` names: `s3://bucket/prefix`, `file:///folder`, or a folder in `data_dir`."""
    scheme = urlsplit(settings.storage_url).scheme if settings.storage_url else "file"
    if scheme not in STORAGES:
        raise ValueError(f"SECATEUR_STORAGE_URL begins with '{scheme}://'; known are {', '.join(STORAGES)}.")
    module, name = STORAGES[scheme]
    opened: Storage = getattr(import_module(module), name).open(settings)
    return opened
