"""tus 1.0.0 over the same uploads: what its clients do, and that both dialects see one offset."""

from __future__ import annotations

import base64
import hashlib
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from tests.app.running import Service, assert_problem
from tests.app.test_uploads import CONTENT, SHA256, create
from tests.app.test_uploads import append as append_as_draft

TUS = {"Tus-Resumable": "1.0.0"}


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def begin(client: httpx2.Client, content: bytes = b"", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/uploads", content=content, headers={"Upload-Length": str(len(CONTENT))} | TUS | named)


def append(client: httpx2.Client, address: str, offset: int, part: Any, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    return client.patch(address, content=part, headers=httpx2.Headers(TUS | told | named, encoding="utf-8"))


def checksum(content: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def test_a_file_arrives_in_parts(service: Service, client: httpx2.Client) -> None:
    told = metadata(filename="nät.onnx", kind="model", sha256=SHA256)
    created = begin(client, Upload_Metadata=told)
    address = created.headers["Location"]

    first = append(client, address, 0, CONTENT[:1000])
    found = client.head(address, headers=TUS)
    last = append(client, address, 1000, CONTENT[1000:])

    assert (created.status_code, created.headers["Upload-Offset"]) == (201, "0")
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "1000")
    assert (found.status_code, found.headers["Upload-Offset"]) == (200, "1000")
    assert (found.headers["Upload-Length"], found.headers["Upload-Metadata"]) == (str(len(CONTENT)), told)
    assert found.headers["Cache-Control"] == "no-store"
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(CONTENT)))
    for response in (created, first, found, last):
        assert response.headers["Tus-Resumable"] == "1.0.0"
    assert parsedate_to_datetime(last.headers["Upload-Expires"]).year >= 2026
    shown = client.get(address).json()
    assert (shown["filename"], shown["kind"], shown["sha256"], shown["complete"]) == ("nät.onnx", "model", SHA256, True)
    assert service.services.storage.size(SHA256) == len(CONTENT)


def test_an_upload_begins_with_its_first_bytes(client: httpx2.Client) -> None:
    created = begin(client, CONTENT[:7], Content_Type="application/offset+octet-stream")

    assert (created.status_code, created.headers["Upload-Offset"]) == (201, "7")
    assert append(client, created.headers["Location"], 7, CONTENT[7:]).status_code == 204


def test_a_length_may_be_told_later(client: httpx2.Client) -> None:
    address = client.post("/v1/uploads", headers=TUS | {"Upload-Defer-Length": "1"}).headers["Location"]

    append(client, address, 0, CONTENT[:500])
    unknown = client.head(address, headers=TUS)
    append(client, address, 500, CONTENT[500:], Upload_Length=str(len(CONTENT)))

    assert unknown.headers["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in unknown.headers
    assert client.get(address).json()["sha256"] == SHA256


def test_both_dialects_go_on_with_each_others_uploads(client: httpx2.Client) -> None:
    address = f"/v1/uploads/{create(client)}"

    append(client, address, 0, CONTENT[:100])
    append_as_draft(client, address.rpartition("/")[2], 100, CONTENT[100:200])
    append(client, address, 200, CONTENT[200:])

    assert client.get(address).json()["sha256"] == SHA256


def test_another_offset_is_a_conflict(client: httpx2.Client) -> None:
    address = begin(client, CONTENT[:5], Content_Type="application/offset+octet-stream").headers["Location"]

    response = append(client, address, 4, b"x")

    assert assert_problem(response, 409, "upload-offset-mismatch")["expected_offset"] == 5
    assert response.headers["Tus-Resumable"] == "1.0.0"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_damaged_part_is_not_kept(client: httpx2.Client, algorithm: str) -> None:
    address = begin(client).headers["Location"]

    damaged = append(client, address, 0, CONTENT[1:9], Upload_Checksum=checksum(CONTENT[:8], algorithm))
    right = append(client, address, 0, CONTENT[:8], Upload_Checksum=checksum(CONTENT[:8], algorithm))
    rest = append(client, address, 8, CONTENT[8:], Upload_Checksum=checksum(CONTENT[8:], algorithm))

    assert_problem(damaged, 460, "checksum-mismatch")
    assert (right.status_code, rest.status_code) == (204, 204)
    assert client.get(address).json()["sha256"] == SHA256


def test_known_bytes_need_not_be_sent(client: httpx2.Client) -> None:
    append(client, begin(client).headers["Location"], 0, CONTENT)

    again = begin(client, Upload_Metadata=metadata(filename="a", sha256=SHA256))

    assert again.headers["Upload-Offset"] == str(len(CONTENT))


def test_an_upload_is_terminated(client: httpx2.Client) -> None:
    address = begin(client).headers["Location"]

    assert client.delete(address, headers=TUS).status_code == 204
    assert_problem(append(client, address, 0, b"x"), 404, "not-found")


def test_proxies_that_know_no_patch_are_worked_around(client: httpx2.Client) -> None:
    address = begin(client).headers["Location"]
    told = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "X-HTTP-Method-Override": "PATCH"}

    sent = client.post(address, content=CONTENT, headers=TUS | told)
    gone = client.post(address, headers=TUS | {"X-HTTP-Method-Override": "DELETE"})

    assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str(len(CONTENT)))
    assert gone.status_code == 204
    assert_problem(client.post(f"/v1/uploads/{create(client)}"), 405, "method-not-allowed", "POST")


def test_what_is_spoken_is_told(client: httpx2.Client) -> None:
    options = client.options("/v1/uploads")
    other = client.post("/v1/uploads", headers={"Tus-Resumable": "0.2.2"})

    assert options.status_code == 204
    assert options.headers["Tus-Version"] == "1.0.0"
    assert {"creation", "creation-with-upload", "termination", "checksum"} <= set(
        options.headers["Tus-Extension"].split(",")
    )
    assert int(options.headers["Tus-Max-Size"]) > 2**30
    assert "sha1" in options.headers["Tus-Checksum-Algorithm"].split(",")
    assert_problem(other, 412, "precondition-failed", "0.2.2")
    assert other.headers["Tus-Version"] == "1.0.0"


REFUSED: dict[str, tuple[dict[str, str], int, str]] = {
    "no length": ({"Upload-Length": ""}, 422, "validation-failed"),
    "too long": ({"Upload-Length": str(2**45)}, 413, "upload-too-large"),
    "empty": ({"Upload-Length": "0"}, 422, "upload-empty"),
    "no base64": ({"Upload-Metadata": "filename ???"}, 422, "validation-failed"),
    "no ASCII": ({"Upload-Metadata": "filename é"}, 422, "validation-failed"),
    "bad kind": ({"Upload-Metadata": metadata(kind="picture")}, 422, "validation-failed"),
    "bad digest": ({"Upload-Metadata": metadata(sha256="abc")}, 422, "validation-failed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_creation_that_cannot_be_understood_is_refused(client: httpx2.Client, name: str) -> None:
    headers, status, code = REFUSED[name]

    told = httpx2.Headers(TUS | {"Upload-Length": "5"} | headers, encoding="utf-8")
    response = client.post("/v1/uploads", headers=told)

    assert_problem(response, status, code)
    assert response.headers["Tus-Resumable"] == "1.0.0"


def test_bytes_of_another_type_or_unknown_checksum_are_refused(client: httpx2.Client) -> None:
    address = begin(client).headers["Location"]

    plain = append(client, address, 0, b"x", Content_Type="application/octet-stream")
    unknown = append(client, address, 0, b"x", Upload_Checksum="crc32 AAAA")
    strange = append(client, address, 0, b"x", Upload_Checksum="sha1 é")

    assert_problem(plain, 415, "unsupported-media-type", "offset+octet-stream")
    assert_problem(unknown, 400, "bad-request", "sha1")
    assert_problem(strange, 400, "bad-request", "base64")


def test_another_projects_uploads_are_unknown(service: Service, client: httpx2.Client) -> None:
    address = begin(client).headers["Location"]
    with service.client(service.new_project("prj_tusstranger000000000000000")) as stranger:
        for response in (
            append(stranger, address, 0, b"x"),
            stranger.delete(address, headers=TUS),
            stranger.post(address, headers=TUS | {"X-HTTP-Method-Override": "HEAD"}),
        ):
            assert_problem(response, 404, "not-found")
