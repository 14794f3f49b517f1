"""One contract for every store: what goes in comes out, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from core.storage import STORAGES, Storage, open_storage
from core.storage.base import BlobCorrupt, BlobMissing, hash_file
from core.storage.local import LocalStorage
from tests.conftest import STORAGE_SETTINGS, make_settings

CONTENT = bytes(range(256)) * 40_000  # 10 MB: more than one part, more than one chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ABSENT = "f" * 64


def test_every_store_is_held_to_this_contract() -> None:
    assert STORAGE_SETTINGS.keys() == STORAGES.keys()


def put(storage: Storage, folder: Path, content: bytes = CONTENT) -> str:
    path = folder / "incoming"
    path.write_bytes(content)
    sha256 = hash_file(path)
    storage.put_file(path, sha256)
    assert not path.exists()
    return sha256


def read(storage: Storage, sha256: str, start: int = 0, stop: int | None = None) -> bytes:
    async def collect() -> bytes:
        return b"".join([chunk async for chunk in storage.stream(sha256, start, stop)])

    return asyncio.run(collect())


def test_what_goes_in_comes_out(storage: Storage, tmp_path: Path) -> None:
    assert put(storage, tmp_path) == SHA256

    storage.fetch(SHA256, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert read(storage, SHA256) == CONTENT
    assert storage.size(SHA256) == len(CONTENT)
    assert storage.exists(SHA256)


def test_the_same_bytes_may_be_put_twice(storage: Storage, tmp_path: Path) -> None:
    put(storage, tmp_path)
    put(storage, tmp_path)

    assert read(storage, SHA256) == CONTENT


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 5), (9_000_000, 9_000_010), (8_388_000, 8_400_000), (7, None)])
def test_a_range_is_that_part_of_the_bytes(storage: Storage, tmp_path: Path, start: int, stop: int | None) -> None:
    put(storage, tmp_path)

    assert read(storage, SHA256, start, stop) == CONTENT[start:stop]


def test_an_empty_blob_is_a_blob(storage: Storage, tmp_path: Path) -> None:
    sha256 = put(storage, tmp_path, b"")

    assert read(storage, sha256) == b""
    assert storage.size(sha256) == 0


def test_a_missing_blob_is_said_to_be_missing(storage: Storage, tmp_path: Path) -> None:
    assert not storage.exists(ABSENT)
    with pytest.raises(BlobMissing):
        storage.size(ABSENT)
    with pytest.raises(BlobMissing):
        storage.fetch(ABSENT, tmp_path / "copy")
    with pytest.raises(BlobMissing):
        read(storage, ABSENT)


def test_a_deleted_blob_is_missing_and_may_be_deleted_again(storage: Storage, tmp_path: Path) -> None:
    put(storage, tmp_path)

    storage.delete(SHA256)
    storage.delete(SHA256)

    assert not storage.exists(SHA256)


def test_bytes_that_do_not_have_their_sha256_are_never_handed_on(storage: Storage, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"not what the name says")
    storage.put_file(damaged, SHA256)

    with pytest.raises(BlobCorrupt):
        storage.fetch(SHA256, tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "ab/" + "0" * 61])
def test_only_a_sha256_names_a_blob(storage: Storage, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        storage.fetch(name, tmp_path / "copy")


def test_local_files_leave_no_draft_behind(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "blobs")
    put(storage, tmp_path)

    files = [Path(folder) / name for folder, _, names in os.walk(tmp_path / "blobs") for name in names]

    assert files == [tmp_path / "blobs" / SHA256[:2] / SHA256]


def test_an_unknown_kind_of_store_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'gopher://'"):
        open_storage(make_settings(tmp_path, storage_url="gopher://hole"))
