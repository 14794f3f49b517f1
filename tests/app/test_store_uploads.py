"""Uploads where files are kept in S3: half-sent ones gather there, and clients may put parts there themselves."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import obstore
import pytest
from pydantic import SecretStr

from app.uploads.service import sweep
from core.storage.base import BlobMissing, StorageUnavailable
from core.storage.s3 import S3Storage
from core.tables import Upload
from tests.app.running import Service, assert_problem, parts_of, running_service
from tests.app.test_uploads import append, assert_failed, create
from tests.conftest import make_settings
from tests.servers import S3Server

PART_BYTES = 5 * 1024**2
CONTENT = random.Random(11).randbytes(2 * PART_BYTES + 4321)


def marked(mark: bytes) -> bytes:
    """Return bytes that no other test has brought: known ones need not be sent."""
    return mark + CONTENT[len(mark) :]


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, s3: S3Server
) -> Iterator[tuple[Service, Service]]:
    """Two web processes of one service, each with a folder of its own."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(sqlite_template, folder / "secateur.db")
    settings = make_settings(
        folder,
        storage_url=f"s3://{s3.bucket}/{folder.name}",
        s3_endpoint=s3.endpoint,
        s3_public_endpoint=s3.endpoint,
        s3_access_key_id=s3.access_key_id,
        s3_secret_access_key=SecretStr(s3.secret_access_key),
        direct_part_bytes=PART_BYTES,
    )
    with ExitStack() as stack:
        yield stack.enter_context(running_service(settings)), stack.enter_context(running_service(settings))


@pytest.fixture
def service(services: tuple[Service, Service]) -> Service:
    return services[0]


@pytest.fixture
def clients(services: tuple[Service, Service]) -> Iterator[tuple[httpx2.Client, httpx2.Client]]:
    one, other = services
    with one.client() as first, other.client(one.key) as second:
        yield first, second


@pytest.fixture
def client(clients: tuple[httpx2.Client, httpx2.Client]) -> httpx2.Client:
    return clients[0]


def stored(service: Service) -> set[str]:
    """The names of everything in the store that only an unfinished upload has."""
    storage = service.services.storage
    assert isinstance(storage, S3Storage)
    return {found["path"] for page in obstore.list(storage._store, "gathering") for found in page}


def sign(client: httpx2.Client, upload_id: str, numbers: list[int] | None = None) -> dict[str, Any]:
    body = None if numbers is None else {"part_numbers": numbers}
    response = client.post(f"/v1/uploads/{upload_id}/parts", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def put_parts(signed: dict[str, Any], content: bytes = CONTENT) -> None:
    for part in signed["parts"]:
        piece = content[part["start_byte"] : part["start_byte"] + part["size_bytes"]]
        assert httpx2.put(part["url"], content=piece).status_code == 200


def complete(client: httpx2.Client, upload_id: str) -> httpx2.Response:
    return client.post(f"/v1/uploads/{upload_id}/complete", timeout=60)


def test_any_web_process_goes_on_with_an_upload(service: Service, clients: tuple[httpx2.Client, httpx2.Client]) -> None:
    """Cuts within parts and at their ends, each half taken by another process."""
    draw = random.Random(5)
    content = draw.randbytes(19 * 1024**2)
    ends = sorted([8 * 1024**2, *(draw.randrange(len(content)) for _ in range(4)), len(content)])
    upload_id, offset = create(clients[0], len(content), sha256=sha256_of(content)), 0

    for turn, end in enumerate(ends):
        one, other = clients[turn % 2], clients[1 - turn % 2]
        response = append(one, upload_id, offset, content[offset:end], "?1" if end == len(content) else "?0")
        assert response.status_code in (200, 204), response.text
        assert other.head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"] == str(end)
        offset = end

    assert response.json()["sha256"] == sha256_of(content)
    assert service.services.storage.size(response.json()["sha256"]) == len(content)
    assert not any(upload_id in name for name in stored(service) | parts_of(service))


def test_who_was_overtaken_in_another_process_changes_nothing_more(
    clients: tuple[httpx2.Client, httpx2.Client],
) -> None:
    """While one process still receives, another tells the offset: from then on it is true."""
    upload_id, told = create(clients[0], len(CONTENT)), []

    def body() -> Iterator[bytes]:
        yield CONTENT[: 9 * 1024**2]
        told.append(clients[1].head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"])
        yield CONTENT[9 * 1024**2 :]

    response = append(clients[0], upload_id, 0, body(), "?1")

    assert_problem(response, 409, "upload-taken-over", "HEAD")
    offset = int(told[0])
    assert append(clients[1], upload_id, offset, CONTENT[offset:], "?1").json()["sha256"] == sha256_of(CONTENT)


def test_a_part_that_the_store_did_not_take_is_sent_again(
    service: Service, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = marked(b"refused")
    upload_id, direct, tries = create(client, len(content)), service.services.storage.direct, []
    assert direct is not None
    real = direct.put_part

    def put_part(*told: Any) -> None:
        tries.append(told)
        if len(tries) == 1:
            raise StorageUnavailable("The store is away.")
        real(*told)

    monkeypatch.setattr(direct, "put_part", put_part)

    broken = append(client, upload_id, 0, content, "?1")
    offset = int(client.head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"])

    assert_problem(broken, 503, "storage-unavailable")
    assert offset >= 8 * 1024**2
    assert append(client, upload_id, offset, content[offset:], "?1").json()["sha256"] == sha256_of(content)


def test_wrong_bytes_in_the_store_end_an_upload(service: Service, client: httpx2.Client) -> None:
    expected = sha256_of(marked(b"expected"))
    upload_id = create(client, len(CONTENT), sha256=expected)

    response = append(client, upload_id, 0, CONTENT, "?1")

    assert_problem(response, 422, "digest-mismatch", expected)
    assert_failed(client, upload_id, "digest-mismatch")
    assert not any(upload_id in name for name in stored(service))


def test_parts_that_a_client_puts_become_a_file(service: Service, client: httpx2.Client) -> None:
    content = marked(b"parts")
    sha256 = sha256_of(content)
    upload_id = create(client, len(content), sha256=sha256)

    last = sign(client, upload_id, [3])
    put_parts(last, content)
    rest = sign(client, upload_id)
    put_parts(rest, content)
    listed = client.get(f"/v1/uploads/{upload_id}/parts").json()
    done = complete(client, upload_id)

    assert (last["part_count"], last["part_bytes"], last["parts"][0]["size_bytes"]) == (3, PART_BYTES, 4321)
    assert [part["part_number"] for part in rest["parts"]] == [1, 2]
    assert [part["size_bytes"] for part in listed["parts"]] == [PART_BYTES, PART_BYTES, 4321]
    assert (done.status_code, done.json()["sha256"], done.headers["Upload-Complete"]) == (200, sha256, "?1")
    assert service.services.storage.size(sha256) == len(CONTENT)
    assert complete(client, upload_id).json() == done.json()
    assert not any(upload_id in name for name in stored(service))


@pytest.mark.parametrize("way", ["parts", "pieces"])
def test_an_end_that_broke_off_is_made_up_for(
    service: Service, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The parts are joined, and then the store does not answer: who asks again gets the file."""
    content = marked(f"broken {way}".encode())
    upload_id = create(client, len(content), sha256=sha256_of(content))

    def away(*_: object) -> None:
        raise StorageUnavailable("The store is away.")

    def end() -> httpx2.Response:
        return complete(client, upload_id) if way == "parts" else append(client, upload_id, len(content), b"", "?1")

    if way == "parts":
        put_parts(sign(client, upload_id), content)
    else:
        append(client, upload_id, 0, content)
    with monkeypatch.context() as patch:
        patch.setattr(service.services.storage.direct, "publish", away)
        broken = end()

    assert_problem(broken, 503, "storage-unavailable")
    assert end().json()["sha256"] == sha256_of(content)
    assert not any(upload_id in name for name in stored(service))


def test_an_end_that_comes_too_early_says_what_is_missing(client: httpx2.Client) -> None:
    upload_id = create(client, len(CONTENT))
    put_parts(sign(client, upload_id, [1]))

    problem = assert_problem(complete(client, upload_id), 422, "upload-incomplete", "2 of 3")

    assert problem["missing_parts"] == [2, 3]
    put_parts(sign(client, upload_id))
    assert complete(client, upload_id).json()["sha256"] == sha256_of(CONTENT)


def test_wrong_bytes_that_a_client_put_end_its_upload(service: Service, client: httpx2.Client) -> None:
    content, other = marked(b"%PDF-"), sha256_of(marked(b"other"))
    for told, code in (({"sha256": other}, "digest-mismatch"), ({"kind": "model"}, "unsupported-format")):
        upload_id = create(client, len(CONTENT), **told)
        put_parts(sign(client, upload_id), content)

        refused = complete(client, upload_id)

        assert refused.json()["code"] == code
        assert_failed(client, upload_id, code)
        assert not any(upload_id in name for name in stored(service))


def test_the_two_ways_are_not_mixed(client: httpx2.Client) -> None:
    direct, sent = create(client, len(CONTENT)), create(client, len(CONTENT))
    sign(client, direct)
    append(client, sent, 0, CONTENT[:10])

    assert_problem(append(client, direct, 0, CONTENT[:10]), 409, "state-conflict", "complete")
    assert_problem(client.post(f"/v1/uploads/{sent}/parts"), 409, "state-conflict", "PATCH")
    assert_problem(complete(client, sent), 409, "state-conflict")
    assert_problem(client.get(f"/v1/uploads/{sent}/parts"), 409, "state-conflict")
    numbers = client.post(f"/v1/uploads/{direct}/parts", json={"part_numbers": [4]})
    assert_problem(numbers, 422, "validation-failed", "1 to 3")


@pytest.mark.parametrize("how", ["delete", "sweep"])
def test_what_is_given_up_leaves_nothing_in_the_store(service: Service, client: httpx2.Client, how: str) -> None:
    direct, sent = create(client, len(CONTENT)), create(client, len(CONTENT))
    put_parts(sign(client, direct, [3]))
    append(client, sent, 0, CONTENT[:10])
    with service.database.transaction() as session:
        rows = [session.get_one(Upload, upload_id) for upload_id in (direct, sent)]
        names = [(row.id, str(row.multipart_id)) for row in rows]
        for row in rows if how == "sweep" else ():
            row.expires_at = row.created_at

    if how == "sweep":
        assert sweep(service.services) == 2
    else:
        assert {client.delete(f"/v1/uploads/{name}").status_code for name, _ in names} == {204}

    assert not any(name in found for name, _ in names for found in stored(service))
    found = service.services.storage.direct
    assert found is not None
    for name, multipart_id in names:
        with pytest.raises(BlobMissing):
            found.parts(name, multipart_id)


def test_a_folder_takes_no_parts(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "secateur.db")
    with running_service(make_settings(tmp_path)) as embedded, embedded.client() as client:
        upload_id = create(client)

        for response in (client.post(f"/v1/uploads/{upload_id}/parts"), complete(client, upload_id)):
            assert_problem(response, 409, "direct-upload-unavailable", "PATCH")
