"""What a finished job has left: events, files and ranges of them, the same at every server."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2
import pytest

from client import Job
from tests.end_to_end.streams import read_events


@pytest.fixture(scope="module")
def model(http: httpx2.Client, finished: Job) -> dict[str, Any]:
    artifacts = http.get(f"/v1/jobs/{finished.id}/artifacts").json()["artifacts"]
    return next(dict(artifact) for artifact in artifacts if artifact["role"] == "model")


def test_a_stream_that_is_cut_again_and_again_goes_on_at_the_next_server(http: httpx2.Client, finished: Job) -> None:
    listed = http.get(f"/v1/jobs/{finished.id}/events").json()["events"]

    seen: list[Any] = []
    while not seen or seen[-1].name != "end":
        seen += read_events(http, finished.id, seen[-1].id if seen else 0, at_most=1 + len(seen) % 3)

    assert [event.data for event in seen[:-1]] == listed
    assert [event.id for event in seen[:-1]] == list(range(1, len(listed) + 1))


def test_a_file_is_put_together_from_ranges(http: httpx2.Client, model: dict[str, Any]) -> None:
    path, size = model["links"]["content"], model["size_bytes"]
    middle = size // 2

    head = http.head(path)
    pieces = [http.get(path, headers={"Range": wanted}) for wanted in (f"bytes=0-{middle - 1}", f"bytes={middle}-")]
    last = http.get(path, headers={"Range": "bytes=-7"})

    assert (head.status_code, int(head.headers["Content-Length"])) == (200, size)
    assert head.headers["ETag"] == f'"{model["sha256"]}"'
    assert [piece.status_code for piece in (*pieces, last)] == [206, 206, 206]
    assert pieces[1].headers["Content-Range"] == f"bytes {middle}-{size - 1}/{size}"
    whole = b"".join(piece.content for piece in pieces)
    assert hashlib.sha256(whole).hexdigest() == model["sha256"]
    assert last.content == whole[-7:]


def test_a_range_of_another_file_or_beyond_the_end_is_not_mixed_in(http: httpx2.Client, model: dict[str, Any]) -> None:
    path, size = model["links"]["content"], model["size_bytes"]

    other = http.get(path, headers={"Range": "bytes=0-3", "If-Range": '"another"'})
    beyond = http.get(path, headers={"Range": f"bytes={size}-"})
    known = http.get(path, headers={"If-None-Match": f'"{model["sha256"]}"'})

    assert (other.status_code, len(other.content)) == (200, size)
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range-not-satisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    assert known.status_code == 304
