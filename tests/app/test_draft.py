"""The draft "Resumable Uploads for HTTP" beyond the common road: creation with content, lengths, limits, digests."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from core.tables import Project, Upload
from tests.app.running import Service, assert_problem, parts_of, put_file
from tests.app.test_uploads import CONTENT, SHA256, append, assert_failed, create

LIMITS = re.compile(r"max-size=\d+, min-size=1, max-age=(\d+)")


def begin(client: httpx2.Client, content: Any = b"", complete: str = "?0", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/uploads", content=content, headers={"Upload-Complete": complete} | named)


def digest_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_an_upload_begins_with_its_first_bytes(client: httpx2.Client) -> None:
    first = begin(client, CONTENT[:100], Upload_Length=str(len(CONTENT)), Repr_Digest=digest_of(CONTENT))

    assert first.status_code == 201
    assert (first.headers["Upload-Offset"], first.headers["Upload-Complete"]) == ("100", "?0")
    assert LIMITS.fullmatch(first.headers["Upload-Limit"])
    upload_id = first.headers["Location"].rpartition("/")[2]
    assert client.head(first.headers["Location"]).headers["Upload-Length"] == str(len(CONTENT))
    assert append(client, upload_id, 100, CONTENT[100:], "?1").json()["sha256"] == SHA256


def test_an_upload_goes_its_way_on_either_database(any_client: httpx2.Client) -> None:
    upload_id = create(any_client, len(CONTENT), sha256=SHA256)

    append(any_client, upload_id, 0, CONTENT[:7])
    found = any_client.head(f"/v1/uploads/{upload_id}")
    again = append(any_client, upload_id, 0, CONTENT[:7])
    done = append(any_client, upload_id, 7, CONTENT[7:], "?1")

    assert found.headers["Upload-Offset"] == "7"
    assert_problem(again, 409, "upload-offset-mismatch")
    assert (done.status_code, done.json()["sha256"]) == (200, SHA256)
    assert begin(any_client, b"x" * 5, "?1", Repr_Digest=digest_of(b"other")).json()["code"] == "digest-mismatch"


def test_an_upload_may_come_whole(client: httpx2.Client) -> None:
    named = "inline; filename=\"net.onnx\"; filename*=UTF-8''n%C3%A4t.onnx"

    response = begin(client, CONTENT, "?1", Content_Disposition=named)

    assert (response.status_code, response.headers["Upload-Complete"]) == (201, "?1")
    assert (response.json()["sha256"], response.json()["filename"]) == (SHA256, "nät.onnx")


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('attachment; filename="a \\"b\\".onnx"', 'a "b".onnx'),
        ("attachment; filename=net.onnx", "net.onnx"),
        ('inline; FileName = "../../etc/net.onnx"', "net.onnx"),
        ("attachment; filename*=idna''%ff", "upload.bin"),
        ("attachment; filename*" + 5000 * "9" + "*=net.onnx", "upload.bin"),
        ("attachment; filename*0=net; filename*=.onnx", "upload.bin"),
    ],
)
def test_a_name_is_read_from_whatever_a_client_sends(client: httpx2.Client, disposition: str, filename: str) -> None:
    assert begin(client, Content_Disposition=disposition).json()["filename"] == filename


def test_bytes_of_unknown_number_are_taken_until_their_end(client: httpx2.Client) -> None:
    upload_id = begin(client).headers["Location"].rpartition("/")[2]
    unknown = client.head(f"/v1/uploads/{upload_id}")

    append(client, upload_id, 0, (CONTENT[start : start + 100] for start in range(0, 500, 100)))
    told = client.patch(
        f"/v1/uploads/{upload_id}",
        content=CONTENT[500:600],
        headers={"Upload-Offset": "500", "Upload-Complete": "?0", "Upload-Length": str(len(CONTENT))},
    )
    ended = append(client, upload_id, 600, CONTENT[600:], "?1")

    assert "Upload-Length" not in unknown.headers
    assert told.headers["Upload-Length"] == str(len(CONTENT))
    assert ended.json()["sha256"] == SHA256


def test_lengths_that_contradict_each_other_are_refused(client: httpx2.Client) -> None:
    upload_id = create(client, 10)
    as_header = {"Upload-Offset": "0", "Upload-Complete": "?0", "Upload-Length": "11"}

    creation = begin(client, b"x" * 5, "?1", Upload_Length="6")
    appending = client.patch(f"/v1/uploads/{upload_id}", content=b"x", headers=as_header)

    for response in (creation, appending):
        problem = assert_problem(response, 422, "upload-length-mismatch")
        assert problem["type"].endswith("#inconsistent-upload-length")


def test_nothing_is_no_upload(client: httpx2.Client) -> None:
    assert_problem(begin(client, b"", "?1"), 422, "upload-empty")
    assert_problem(begin(client, b"", "?0", Upload_Length="0"), 422, "upload-empty")
    upload_id = begin(client).headers["Location"].rpartition("/")[2]
    assert_problem(append(client, upload_id, 0, b"", "?1"), 422, "upload-empty")


def test_a_creation_that_is_repeated_tells_where_to_go_on(client: httpx2.Client) -> None:
    """The answer of the first try was lost; a key stands in for the interim response that ASGI cannot send."""
    told: dict[str, Any] = {"Upload_Length": str(len(CONTENT)), "Idempotency_Key": "once"}

    first = begin(client, CONTENT[:100], **told)
    again = begin(client, CONTENT[:100], **told)

    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Upload-Offset"] == "100"


def test_known_bytes_need_no_content(client: httpx2.Client) -> None:
    put_file(client, CONTENT)

    response = begin(client, Repr_Digest=digest_of(CONTENT), Upload_Length=str(len(CONTENT)))

    assert (response.status_code, response.headers["Upload-Complete"]) == (201, "?1")
    assert response.headers["Upload-Offset"] == str(len(CONTENT))


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_a_part_that_was_damaged_is_not_kept(client: httpx2.Client, algorithm: str) -> None:
    upload_id = create(client)
    counted = hashlib.new(algorithm.replace("-", ""), CONTENT[:1000]).digest()
    headers = {"Upload-Offset": "0", "Upload-Complete": "?0"}
    headers["Content-Digest"] = f"{algorithm}=:{base64.b64encode(counted).decode()}:"

    damaged = client.patch(f"/v1/uploads/{upload_id}", content=CONTENT[1:1001], headers=headers)
    offset = client.head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"]
    right = client.patch(f"/v1/uploads/{upload_id}", content=CONTENT[:1000], headers=headers)

    assert assert_problem(damaged, 460, "checksum-mismatch", "send them again")["retryable"]
    assert offset == "0"
    assert right.headers["Upload-Offset"] == "1000"
    assert append(client, upload_id, 1000, CONTENT[1000:], "?1").json()["sha256"] == SHA256


def test_limits_are_told_and_the_time_runs(client: httpx2.Client) -> None:
    options = client.options("/v1/uploads")
    whole = LIMITS.fullmatch(options.headers["Upload-Limit"])
    left = LIMITS.fullmatch(client.head(f"/v1/uploads/{create(client)}").headers["Upload-Limit"])

    assert options.headers["Accept-Patch"] == "application/partial-upload"
    assert whole is not None
    assert left is not None
    assert int(whole.group(1)) - 60 <= int(left.group(1)) <= int(whole.group(1))


KINDS = {
    ("model", b"\x89PNG\r\n\x1a\n" + bytes(100)): "a picture",
    ("model", b"%PDF-1.7\n" + bytes(100)): "a PDF",
    ("model", b"version https://git-lfs.github.com/spec/v1\n"): "git lfs pull",
    ("dataset", b"\x08\x07\x12\x04" + bytes(100)): "neither a .zip",
    ("dataset", b"\xff\xd8\xff\xe0" + bytes(100)): "neither a .zip",
}


@pytest.mark.parametrize(("kind", "content"), KINDS)
def test_a_file_of_another_kind_is_refused_by_its_first_bytes(
    service: Service, client: httpx2.Client, kind: str, content: bytes
) -> None:
    upload_id = create(client, len(content) + 10, kind=kind)

    refused = append(client, upload_id, 0, content)
    whole = client.put("/v1/files", params={"filename": "a", "kind": kind}, content=content)

    for response in (refused, whole):
        assert_problem(response, 415, "unsupported-format", KINDS[kind, content])
    assert_failed(client, upload_id, "unsupported-format")
    assert not any(name.startswith(("put_", upload_id)) for name in parts_of(service))


GOOD = [("model", b"\x08\x0a\x12\x07pytorch"), ("model", b"MZ\0\0\0\0\0\0{"), ("dataset", b"PK\x03\x04" + bytes(9))]


@pytest.mark.parametrize(("kind", "content"), [*GOOD, ("model", b"PK\x03\x04" + bytes(9))])
def test_a_file_that_may_be_of_its_kind_passes(client: httpx2.Client, kind: str, content: bytes) -> None:
    upload_id = create(client, len(content), kind=kind)

    for offset in range(len(content)):
        response = append(
            client, upload_id, offset, content[offset : offset + 1], "?1" if offset == len(content) - 1 else "?0"
        )

    assert response.json()["kind"] == kind
    assert client.put("/v1/files", params={"filename": "a", "kind": kind}, content=content).status_code == 201


def test_a_wrong_kind_in_short_parts_is_seen_at_the_end(client: httpx2.Client) -> None:
    content = b"%PDF-1.7 and more"
    upload_id = create(client, len(content), kind="model")
    append(client, upload_id, 0, content[:2])

    assert_problem(append(client, upload_id, 2, content[2:], "?1"), 415, "unsupported-format", "PDF")


def test_a_project_may_store_no_more_than_its_quota(service: Service) -> None:
    key = service.new_project("prj_quota00000000000000000000a")
    with service.database.transaction() as session:
        session.get_one(Project, "prj_quota00000000000000000000a").max_stored_bytes = 3000
    with service.client(key) as client:
        put_file(client, CONTENT)  # 2304 bytes

        declared = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 1000})
        whole = client.put("/v1/files?filename=a", content=b"x" * 1000)
        undeclared = client.put("/v1/files?filename=a", content=(b"x" * 100 for _ in range(10)))
        upload_id = begin(client).headers["Location"].rpartition("/")[2]
        on_the_way = append(client, upload_id, 0, (b"x" * 100 for _ in range(10)))
        again = client.put("/v1/files?filename=a", content=CONTENT, headers={"X-Content-Sha256": SHA256})
        fits = client.put("/v1/files?filename=a", content=b"x" * 690)

    for response in (declared, whole, undeclared, on_the_way):
        assert_problem(response, 403, "quota-exceeded", "may store 696 bytes more")
    assert again.status_code == 201
    assert fits.status_code == 201


def test_uploads_side_by_side_share_what_room_there_is(service: Service) -> None:
    """Each may store 2304 bytes when it begins, and both together may not."""
    project_id = "prj_quota00000000000000000000b"
    key = service.new_project(project_id)
    with service.database.transaction() as session:
        session.get_one(Project, project_id).max_stored_bytes = 3000
    with service.client(key) as client, service.client(key) as other:
        first, second = (begin(client).headers["Location"].rpartition("/")[2] for _ in range(2))

        def while_another_one_comes() -> Iterator[bytes]:
            yield CONTENT[:100]
            while not has_writer(service, first):
                time.sleep(0.01)
            assert append(other, second, 0, iter([CONTENT[::-1]]), "?1").status_code == 200
            yield CONTENT[100:]

        refused = append(client, first, 0, while_another_one_comes(), "?1")

    assert_problem(refused, 403, "quota-exceeded")


def has_writer(service: Service, upload_id: str) -> bool:
    with service.database.transaction() as session:
        return session.get_one(Upload, upload_id).writer is not None


def test_known_bytes_are_not_waited_for(service: Service, client: httpx2.Client) -> None:
    """A client that expects to be told to go on, as curl does, is answered before it has sent a byte."""
    put_file(client, CONTENT)
    key = client.headers["Authorization"]
    head = (
        f"PUT /v1/files?filename=a HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\nExpect: 100-continue\r\n"
        f"Repr-Digest: {digest_of(CONTENT)}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as raw:
        raw.sendall(head.encode())

        answer = raw.recv(65536)

    assert answer.startswith(b"HTTP/1.1 201")
    assert SHA256.encode() in answer
