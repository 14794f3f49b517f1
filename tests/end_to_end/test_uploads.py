"""Files on their way in: taken up again wherever the next request lands, and never sent twice."""

from __future__ import annotations

import hashlib
import secrets
from itertools import pairwise

import httpx2

CONTENT = secrets.token_bytes(3_000_000)
CUTS = (0, 1, 1_048_577, 2_999_999, len(CONTENT))


def test_an_upload_goes_on_at_whichever_server_it_comes_to(http: httpx2.Client) -> None:
    made = http.post("/v1/uploads", json={"filename": "a.onnx", "size_bytes": len(CONTENT)})
    path = made.headers["Location"]

    told = []
    for begin, end in pairwise(CUTS):
        told.append(int(http.head(path).headers["Upload-Offset"]))
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(begin),
            "Upload-Complete": "?1" if end == len(CONTENT) else "?0",
        }
        http.head(path)  # one more request, so that reading and writing change places
        assert http.patch(path, content=CONTENT[begin:end], headers=headers).status_code < 300

    upload = http.get(path).json()
    assert told == list(CUTS[:-1])
    assert (upload["state"], upload["sha256"]) == ("complete", hashlib.sha256(CONTENT).hexdigest())


def test_a_wrong_offset_is_told_with_the_right_one(http: httpx2.Client) -> None:
    path = http.post("/v1/uploads", json={"filename": "b.onnx", "size_bytes": 10}).headers["Location"]
    headers = {"Content-Type": "application/partial-upload", "Upload-Offset": "4", "Upload-Complete": "?0"}

    answer = http.patch(path, content=b"abc", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "upload-offset-mismatch")
    assert answer.json()["expected_offset"] == 0 == int(answer.headers["Upload-Offset"])
    assert http.delete(path).status_code == 204


def test_bytes_that_are_there_need_not_be_sent(http: httpx2.Client) -> None:
    content = b"known" * 1000
    sha256 = hashlib.sha256(content).hexdigest()
    whole = http.put("/v1/files", params={"filename": "c.onnx"}, content=content)

    again = http.post("/v1/uploads", json={"filename": "d.onnx", "size_bytes": len(content), "sha256": sha256})

    assert whole.json()["sha256"] == again.json()["sha256"] == sha256
    assert again.json()["state"] == "complete"
