"""Downloads: whole or in ranges, resumable, and checkable byte for byte."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.artifacts.content import disposition
from app.artifacts.ranges import asked_span
from app.errors import Problem
from tests.app.running import Service, assert_problem, finish_job, make_job, start_job

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{SHA256}"'


@pytest.fixture
def artifact(service: Service, client: httpx2.Client) -> dict[str, Any]:
    job_id = make_job(client)["id"]
    finish_job(service, start_job(service, job_id), {"model.onnx": CONTENT})
    found: list[dict[str, Any]] = client.get(f"/v1/jobs/{job_id}/artifacts").json()["artifacts"]
    assert len(found) == 1
    return found[0]


def test_an_artifact_comes_whole_with_all_that_a_careful_client_checks(
    client: httpx2.Client, artifact: dict[str, Any]
) -> None:
    response = client.get(artifact["links"]["content"])

    assert response.content == CONTENT
    assert response.headers["ETag"] == ETAG
    assert response.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(SHA256)).decode()}:"
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["Content-Disposition"].startswith('attachment; filename="model.onnx"')
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert (artifact["sha256"], artifact["size_bytes"]) == (SHA256, len(CONTENT))
    assert client.get(f"/v1/artifacts/{artifact['id']}").json() == artifact


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, None),
        ("bytes=-7", len(CONTENT) - 7, None),
        ("bytes=5-999999", 5, None),
    ],
)
def test_a_range_comes_alone(
    client: httpx2.Client, artifact: dict[str, Any], asked: str, start: int, stop: int | None
) -> None:
    response = client.get(artifact["links"]["content"], headers={"Range": asked})

    assert response.status_code == 206
    assert response.content == CONTENT[start:stop]
    last = (stop or len(CONTENT)) - 1
    assert response.headers["Content-Range"] == f"bytes {start}-{last}/{len(CONTENT)}"


def test_if_range_sends_all_of_another_file(client: httpx2.Client, artifact: dict[str, Any]) -> None:
    path = artifact["links"]["content"]

    same = client.get(path, headers={"Range": "bytes=10-", "If-Range": ETAG})
    other = client.get(path, headers={"Range": "bytes=10-", "If-Range": '"other"'})

    assert (same.status_code, same.content) == (206, CONTENT[10:])
    assert (other.status_code, other.content) == (200, CONTENT)


def test_a_range_outside_is_refused(client: httpx2.Client, artifact: dict[str, Any]) -> None:
    for asked in (f"bytes={len(CONTENT)}-", "bytes=-0", "bytes=999999-1000000"):
        response = client.get(artifact["links"]["content"], headers={"Range": asked})

        assert_problem(response, 416, "range-not-satisfiable", str(len(CONTENT)))
        assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_head_and_conditions(client: httpx2.Client, artifact: dict[str, Any]) -> None:
    path = artifact["links"]["content"]

    head = client.head(path)
    fresh = client.get(path, headers={"If-None-Match": ETAG})
    refused = client.get(path, headers={"If-Match": '"other"'})

    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert head.headers["ETag"] == ETAG
    assert (fresh.status_code, fresh.content) == (304, b"")
    assert_problem(refused, 412, "precondition-failed", SHA256)
    assert client.get(path, headers={"If-Match": ETAG}).status_code == 200


def test_bytes_that_are_no_longer_stored_are_a_problem(
    service: Service, client: httpx2.Client, artifact: dict[str, Any]
) -> None:
    service.services.storage.delete(SHA256)

    assert_problem(client.get(artifact["links"]["content"]), 410, "artifact-gone", "model.onnx", "retry")


ENDS = st.none() | st.integers(min_value=0, max_value=300)


@given(first=ENDS, last=ENDS, size=st.integers(min_value=1, max_value=200))
def test_a_range_is_what_slicing_says(first: int | None, last: int | None, size: int) -> None:
    content = bytes(index % 256 for index in range(size))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    tail = content[-last:] if last else b""
    wanted = tail if first is None else content[first : None if last is None else last + 1]

    if (first is None and last is None) or (first is not None and last is not None and last < first):
        assert asked_span(header, None, ETAG, size) is None
    elif not wanted:
        with pytest.raises(Problem) as refusal:
            asked_span(header, None, ETAG, size)
        assert refusal.value.code == "range-not-satisfiable"
    else:
        span = asked_span(header, None, ETAG, size)
        assert span is not None
        assert content[span.start : span.stop] == wanted


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes", "", "bytes=--1"])
def test_what_is_no_single_range_gets_the_whole_file(header: str) -> None:
    assert asked_span(header, None, ETAG, 10) is None


@pytest.mark.parametrize("name", ['a"b.onnx', "a\r\nSet-Cookie: x", "../../x", "ä.onnx", "", "a;b"])
def test_a_hostile_name_stays_inside_its_header(name: str) -> None:
    value = disposition(name)

    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    assert "/" not in value.partition("filename*")[0]
