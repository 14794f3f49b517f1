"""A whole file in one request: its digest, its name, and nothing left where it fails."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator

import httpx2
import pytest

from tests.app.running import Service, assert_problem, parts_of, put_file

CONTENT = bytes(range(256)) * 9
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_whole_file_is_stored_under_its_digest(service: Service, client: httpx2.Client) -> None:
    response = client.put("/v1/files?filename=a.onnx", content=CONTENT)

    upload = response.json()
    assert response.status_code == 201
    assert upload["sha256"] == SHA256
    assert (upload["size_bytes"], upload["offset_bytes"], upload["complete"]) == (len(CONTENT), len(CONTENT), True)
    assert service.services.storage.size(SHA256) == len(CONTENT)
    assert client.get(response.headers["Location"]).json() == upload


def test_a_file_of_many_buffers_arrives_whole(service: Service, client: httpx2.Client) -> None:
    block = os.urandom(300_001)

    def blocks() -> Iterator[bytes]:
        for _ in range(20):
            yield block

    response = client.put("/v1/files?filename=a.onnx", content=blocks())

    assert response.json()["sha256"] == hashlib.sha256(block * 20).hexdigest()
    assert service.services.storage.size(response.json()["sha256"]) == 20 * len(block)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Content-Sha256": SHA256},
        {"X-Content-Sha256": SHA256.upper()},
        {"Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(SHA256)).decode()}:"},
        {"Repr-Digest": f"sha-512=:AAAA:, sha-256=:{base64.b64encode(bytes.fromhex(SHA256)).decode()}:"},
        {"Repr-Digest": "md5=:AAAA:"},
    ],
)
def test_a_declared_digest_that_is_right_passes(client: httpx2.Client, headers: dict[str, str]) -> None:
    assert client.put("/v1/files?filename=a", content=CONTENT, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Content-Sha256": "0" * 64},
        {"Repr-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"},
    ],
)
def test_a_wrong_digest_leaves_nothing_behind(service: Service, client: httpx2.Client, headers: dict[str, str]) -> None:
    response = client.put("/v1/files?filename=a", content=b"other" + CONTENT, headers=headers)

    problem = assert_problem(response, 422, "digest-mismatch", "Send the file again")
    assert problem["declared_sha256"] == "0" * 64
    assert not service.services.storage.exists(problem["actual_sha256"])
    assert not any(name.startswith("put_") for name in parts_of(service))


@pytest.mark.parametrize("headers", [{"X-Content-Sha256": "abc"}, {"Repr-Digest": "sha-256=:AAAA:"}])
def test_a_digest_that_is_none_is_told_so(client: httpx2.Client, headers: dict[str, str]) -> None:
    response = client.put("/v1/files?filename=a", content=CONTENT, headers=headers)

    assert_problem(response, 422, "validation-failed", next(iter(headers)))


def test_an_empty_file_is_refused(client: httpx2.Client) -> None:
    assert_problem(client.put("/v1/files?filename=a", content=b""), 422, "upload-empty", "no bytes")
    assert_problem(client.put("/v1/files?filename=a", content=iter([])), 422, "upload-empty", "no bytes")
    asked = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 0})
    problem = assert_problem(asked, 422, "validation-failed")
    assert problem["errors"][0]["pointer"] == "/size_bytes"


FILE_NAMES = {
    "a.onnx": "a.onnx",
    "C:\\models\\a.onnx": "a.onnx",
    "../../etc/passwd": "passwd",
    "ä ö.zip": "ä ö.zip",
}


@pytest.mark.parametrize(("given", "kept"), FILE_NAMES.items())
def test_a_file_name_is_only_a_name(client: httpx2.Client, given: str, kept: str) -> None:
    assert put_file(client, CONTENT, given)["filename"] == kept


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "..", "x/..", "n" * 256, "a\u2028b"])
def test_a_name_that_is_none_is_refused(client: httpx2.Client, name: str) -> None:
    response = client.put("/v1/files", params={"filename": name}, content=CONTENT)

    problem = assert_problem(response, 422, "validation-failed")

    assert problem["errors"][0]["parameter"] == "filename"
