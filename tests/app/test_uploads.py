"""Whole files and parts of files on their way in: what is kept, what is refused before and after the bytes."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.uploads.digests import repr_digest
from app.uploads.service import sweep
from core.settings import Settings
from core.tables import Upload
from tests.app.running import Service, assert_problem, make_model, parts_of, put_file, running_service

CONTENT = bytes(range(256)) * 9
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def create(client: httpx2.Client, size_bytes: int = len(CONTENT), **more: Any) -> str:
    response = client.post("/v1/uploads", json={"filename": "a.onnx", "size_bytes": size_bytes, **more})
    assert response.status_code == 201, response.text
    assert response.headers["Location"] == f"/v1/uploads/{response.json()['id']}"
    return str(response.json()["id"])


def assert_failed(client: httpx2.Client, upload_id: str, code: str) -> None:
    """Check that an upload says why it takes no more, whoever asks."""
    shown = client.get(f"/v1/uploads/{upload_id}").json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", code)
    assert client.head(f"/v1/uploads/{upload_id}").status_code == 410
    assert_problem(append(client, upload_id, shown["offset_bytes"], b"x"), 410, "upload-failed", "new one")
    assert_problem(client.post("/v1/models", json={"upload_id": upload_id}), 410, "upload-failed", "new upload")


def append(client: httpx2.Client, upload_id: str, offset: int, part: Any, complete: str = "?0") -> httpx2.Response:
    headers = {
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": complete,
    }
    return client.patch(f"/v1/uploads/{upload_id}", content=part, headers=headers)


@pytest.fixture
def narrow(sqlite_settings: Settings) -> Iterator[Service]:
    """A service that takes files of up to 1000 bytes."""
    with running_service(sqlite_settings.model_copy(update={"max_upload_bytes": 1000})) as running:
        yield running


def test_a_file_over_the_limit_is_refused_however_it_comes(narrow: Service) -> None:
    with narrow.client() as client:
        whole = client.put("/v1/files?filename=a", content=b"x" * 1001)
        undeclared = client.put("/v1/files?filename=a", content=(b"x" * 100 for _ in range(11)))
        asked = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 1001})
        exact = client.put("/v1/files?filename=a", content=b"x" * 1000)

    for response in (whole, undeclared, asked):
        assert assert_problem(response, 413, "upload-too-large", "1000 bytes")["limit_bytes"] == 1000
        assert response.headers["Upload-Limit"] == "max-size=1000"
    assert exact.status_code == 201
    assert parts_of(narrow) == set()


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    service: Service, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("app.uploads.partfile.os.write", full)

    response = client.put("/v1/files?filename=a", content=CONTENT)

    assert assert_problem(response, 507, "storage-full", "room")["retryable"]
    assert response.headers["Retry-After"]
    monkeypatch.undo()
    assert not any(name.startswith("put_") for name in parts_of(service))


def test_parts_become_the_file(service: Service, client: httpx2.Client) -> None:
    upload_id = create(client, sha256=SHA256.upper())

    first = append(client, upload_id, 0, CONTENT[:1000])
    standing = client.head(f"/v1/uploads/{upload_id}")
    last = append(client, upload_id, 1000, CONTENT[1000:], "?1")

    assert (first.status_code, first.headers["Upload-Offset"], first.headers["Upload-Complete"]) == (204, "1000", "?0")
    assert (standing.status_code, standing.headers["Upload-Offset"]) == (204, "1000")
    assert standing.headers["Cache-Control"] == "no-store"
    assert last.status_code == 200
    assert last.headers["Upload-Complete"] == "?1"
    assert last.json()["sha256"] == SHA256
    assert last.headers["Repr-Digest"] == repr_digest(SHA256)
    assert service.services.storage.size(SHA256) == len(CONTENT)
    assert f"{upload_id}.part" not in parts_of(service)


def test_another_offset_is_told_the_right_one(client: httpx2.Client) -> None:
    upload_id = create(client)
    append(client, upload_id, 0, CONTENT[:100])

    for wrong in (0, 99, 101, 10**14):
        response = append(client, upload_id, wrong, b"x")
        problem = assert_problem(response, 409, "upload-offset-mismatch", "byte 100")
        assert (problem["expected_offset"], problem["provided_offset"]) == (100, wrong)
        assert (problem["expected-offset"], problem["provided-offset"]) == (100, wrong)
        assert response.headers["Upload-Offset"] == "100"
        assert problem["retryable"]


def test_more_or_fewer_bytes_than_declared_are_refused(client: httpx2.Client) -> None:
    upload_id = create(client, 10)

    assert_problem(append(client, upload_id, 0, b"x" * 11), 422, "upload-length-mismatch", "10 bytes")
    assert_problem(append(client, upload_id, 0, b"x" * 9, "?1"), 422, "upload-length-mismatch", "missing")
    assert append(client, upload_id, 0, b"z" * 10, "?1").status_code == 200


def test_more_bytes_than_declared_end_an_upload_where_nobody_could_know_before(client: httpx2.Client) -> None:
    upload_id = create(client, 10)

    undeclared = append(client, upload_id, 0, iter([b"x" * 6, b"y" * 6]))

    assert_problem(undeclared, 422, "upload-length-mismatch", "10 bytes")
    assert_failed(client, upload_id, "upload-length-mismatch")


def test_a_wrong_digest_ends_an_upload_and_leaves_nothing_behind(service: Service, client: httpx2.Client) -> None:
    upload_id = create(client, sha256=SHA256)

    response = append(client, upload_id, 0, CONTENT[::-1], "?1")

    assert_problem(response, 422, "digest-mismatch", SHA256)
    assert response.headers["Upload-Complete"] == "?1"
    assert_failed(client, upload_id, "digest-mismatch")
    assert f"{upload_id}.part" not in parts_of(service)


def test_a_whole_upload_takes_no_more_and_says_so(client: httpx2.Client) -> None:
    upload_id = create(client)
    append(client, upload_id, 0, CONTENT, "?1")

    again = append(client, upload_id, len(CONTENT), b"", "?1")
    more = append(client, upload_id, len(CONTENT), b"x", "?1")
    late = append(client, upload_id, 0, CONTENT, "?1")

    assert_problem(again, 400, "upload-completed", "whole")
    assert again.headers["Upload-Complete"] == "?1"
    assert_problem(more, 422, "upload-length-mismatch")
    assert_problem(late, 409, "upload-offset-mismatch")
    assert client.head(f"/v1/uploads/{upload_id}").headers["Upload-Complete"] == "?1"


def test_an_upload_is_whole_when_the_client_says_so(client: httpx2.Client) -> None:
    """As the draft has it: reaching the length is not yet the end."""
    upload_id = create(client)

    reached = append(client, upload_id, 0, CONTENT, "?0")
    ended = append(client, upload_id, len(CONTENT), b"", "?1")

    assert (reached.status_code, reached.headers["Upload-Complete"]) == (204, "?0")
    assert (ended.status_code, ended.json()["sha256"]) == (200, SHA256)


def test_bytes_that_the_project_has_need_not_be_sent(client: httpx2.Client) -> None:
    put_file(client, CONTENT)

    created = client.post("/v1/uploads", json={"filename": "b", "size_bytes": len(CONTENT), "sha256": SHA256}).json()
    other_size = client.post("/v1/uploads", json={"filename": "b", "size_bytes": 5, "sha256": SHA256}).json()

    assert created["complete"]
    assert created["offset_bytes"] == len(CONTENT)
    assert client.post("/v1/models", json={"upload_id": created["id"]}).status_code == 201
    assert not other_size["complete"]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "Upload-Offset"),
        ({"Upload-Offset": "-1"}, "Upload-Offset"),
        ({"Upload-Offset": "1" * 30}, "Upload-Offset"),
        ({"Upload-Offset": "0", "Upload-Complete": "true"}, "Upload-Complete"),
        ({"Upload-Offset": "0"}, "Upload-Complete"),
    ],
)
def test_a_part_without_its_headers_is_refused(client: httpx2.Client, headers: dict[str, str], name: str) -> None:
    response = client.patch(f"/v1/uploads/{create(client)}", content=b"x", headers=headers)

    assert assert_problem(response, 422, "validation-failed", name)["errors"][0]["header"] == name


def test_a_part_of_another_media_type_is_refused(client: httpx2.Client) -> None:
    headers = {"Upload-Offset": "0", "Content-Type": "application/json"}

    response = client.patch(f"/v1/uploads/{create(client)}", content=b"{}", headers=headers)

    assert_problem(response, 415, "unsupported-media-type", "application/partial-upload")


@pytest.mark.parametrize("headers", [{}, {"Tus-Resumable": "1.0.0"}])
def test_who_may_only_write_may_ask_where_to_go_on(service: Service, headers: dict[str, str]) -> None:
    with service.client(service.new_key(["models:write"])) as writer:
        made = writer.post("/v1/uploads", json={"filename": "net.onnx", "size_bytes": 10, "kind": "model"}).json()
        offset = writer.head(f"/v1/uploads/{made['id']}", headers=headers)
        whole = writer.get(f"/v1/uploads/{made['id']}")

    assert (offset.status_code // 100, offset.headers["Upload-Offset"]) == (2, "0")
    assert_problem(whole, 403, "forbidden-scope", "models:read")


def test_a_deleted_upload_is_gone_and_its_model_stays(service: Service, client: httpx2.Client) -> None:
    finished, begun = put_file(client, CONTENT)["id"], create(client)
    append(client, begun, 0, b"some")
    model_id = client.post("/v1/models", json={"upload_id": finished}).json()["id"]

    for upload_id in (finished, begun):
        assert client.delete(f"/v1/uploads/{upload_id}").status_code == 204
        assert_problem(client.get(f"/v1/uploads/{upload_id}"), 404, "not-found")

    assert client.get(f"/v1/models/{model_id}").json()["sha256"] == SHA256
    assert f"{begun}.part" not in parts_of(service)


def test_an_upload_that_is_not_whole_is_no_model_yet(client: httpx2.Client) -> None:
    upload_id = create(client)
    append(client, upload_id, 0, b"some")

    response = client.post("/v1/models", json={"upload_id": upload_id})

    assert_problem(response, 422, "upload-incomplete", f"4 of {len(CONTENT)}", "PATCH")


def test_uploads_whose_time_is_over_are_swept(service: Service, client: httpx2.Client) -> None:
    old, fresh = create(client), create(client)
    for upload_id in (old, fresh):
        append(client, upload_id, 0, b"some")
    stray = service.services.part_folder / "put_lost.part"
    stray.write_bytes(b"x")
    os.utime(stray, (0, 0))
    with service.database.transaction() as session:
        row = session.get_one(Upload, old)
        row.expires_at = row.created_at
    os.utime(service.services.part_folder / f"{old}.part", (0, 0))

    removed = sweep(service.services)

    assert removed == 1
    assert {f"{fresh}.part"} == parts_of(service) & {f"{fresh}.part", f"{old}.part", "put_lost.part"}
    assert_problem(client.get(f"/v1/uploads/{old}"), 404, "not-found")
    assert client.head(f"/v1/uploads/{fresh}").headers["Upload-Offset"] == "4"


def test_names_and_pages_of_models(client: httpx2.Client) -> None:
    upload_id = put_file(client, CONTENT, "net.onnx")["id"]
    named = client.post("/v1/models", json={"upload_id": upload_id, "name": " mine "})
    made = [named.json()["id"], make_model(client), make_model(client)]

    first = client.get("/v1/models?page_size=2").json()
    second = client.get("/v1/models", params={"page_size": 2, "page_token": first["next_page_token"]}).json()

    assert named.json()["name"] == "mine"
    assert named.headers["Location"] == f"/v1/models/{made[0]}"
    assert [model["id"] for model in first["models"] + second["models"]] == sorted(made, reverse=True)
    assert second["next_page_token"] is None
    assert client.delete(f"/v1/models/{made[1]}").status_code == 204
    assert_problem(client.get(f"/v1/models/{made[1]}"), 404, "not-found")
