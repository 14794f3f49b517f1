"""What clients put into an S3 store themselves, by signed URLs, in front of a server that checks signatures."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import httpx2
import pytest

from core.storage import Storage, open_storage
from core.storage.base import BlobMissing, Direct, Part, PartsMismatch
from tests.conftest import STORAGE_SETTINGS, make_settings

PART_BYTES = 5 * 1024**2
CONTENT = random.Random(3).randbytes(2 * PART_BYTES + 777)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
UPLOAD_ID = "upl_direct"
PARTS = [Part(1, PART_BYTES), Part(2, PART_BYTES), Part(3, 777)]


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Storage:
    """A store with a prefix that nobody else uses."""
    return open_storage(STORAGE_SETTINGS["s3"](request))


@pytest.fixture
def direct(storage: Storage) -> Direct:
    assert storage.direct is not None
    return storage.direct


def put(direct: Direct, multipart_id: str, part: Part, content: bytes) -> httpx2.Response:
    return httpx2.put(direct.part_url(UPLOAD_ID, multipart_id, part, 60), content=content)


def content_of(part: Part) -> bytes:
    start = (part.number - 1) * PART_BYTES
    return CONTENT[start : start + part.size_bytes]


def test_parts_become_a_blob(storage: Storage, direct: Direct, tmp_path: Path) -> None:
    multipart_id = direct.begin(UPLOAD_ID)
    for part in reversed(PARTS):
        assert put(direct, multipart_id, part, content_of(part)).status_code == 200
    listed = direct.parts(UPLOAD_ID, multipart_id)

    direct.join(UPLOAD_ID, multipart_id, listed)
    gathered = direct.read(UPLOAD_ID)
    direct.publish(UPLOAD_ID, gathered.sha256)

    assert [(part.number, part.size_bytes) for part in listed] == [(part.number, part.size_bytes) for part in PARTS]
    assert gathered == (SHA256, len(CONTENT), CONTENT[:512])
    storage.fetch(SHA256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    direct.discard(UPLOAD_ID, multipart_id)
    with pytest.raises(BlobMissing):
        direct.read(UPLOAD_ID)
    assert storage.exists(SHA256)


def test_a_part_of_another_size_is_refused_by_the_store(direct: Direct) -> None:
    multipart_id = direct.begin(UPLOAD_ID)

    response = put(direct, multipart_id, Part(1, 1000), b"x" * 1001)

    assert response.status_code == 403
    assert direct.parts(UPLOAD_ID, multipart_id) == []


def test_a_part_that_was_replaced_is_not_joined(direct: Direct) -> None:
    multipart_id = direct.begin(UPLOAD_ID)
    put(direct, multipart_id, PARTS[2], b"a" * 777)
    listed = direct.parts(UPLOAD_ID, multipart_id)
    put(direct, multipart_id, PARTS[2], b"b" * 777)

    with pytest.raises(PartsMismatch):
        direct.join(UPLOAD_ID, multipart_id, listed)


def test_what_is_discarded_is_gone_and_may_be_discarded_again(direct: Direct) -> None:
    multipart_id = direct.begin(UPLOAD_ID)
    put(direct, multipart_id, PARTS[2], content_of(PARTS[2]))

    for _ in range(2):
        direct.discard(UPLOAD_ID, multipart_id)

    with pytest.raises(BlobMissing):
        direct.parts(UPLOAD_ID, multipart_id)


def test_a_blob_can_be_read_by_its_address(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "incoming"
    path.write_bytes(CONTENT)
    storage.put_file(path, SHA256)

    url = storage.download_url(SHA256, name="net ä.onnx", media_type="application/x-onnx", seconds=60)

    assert url is not None
    assert httpx2.get(url).content == CONTENT
    assert httpx2.get(url, headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    assert httpx2.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")).status_code == 403


def test_addresses_are_those_that_clients_reach(request: pytest.FixtureRequest) -> None:
    settings = STORAGE_SETTINGS["s3"](request).model_copy(update={"s3_public_endpoint": "https://files.example.com"})

    url = open_storage(settings).download_url(SHA256, name="a", media_type="text/plain", seconds=60)

    assert url is not None
    assert url.startswith("https://files.example.com/secateur/")


def test_a_folder_has_no_addresses(tmp_path: Path) -> None:
    storage = open_storage(make_settings(tmp_path))

    assert storage.direct is None
    assert storage.download_url(SHA256, name="a", media_type="text/plain", seconds=60) is None
