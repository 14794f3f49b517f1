"""Where clients can reach the store, downloads go there by a signed address; everything else is answered here."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from client import Client
from core.settings import Settings
from tests.app.running import Service, assert_problem, finish_job, make_job, running_service, start_job
from tests.conftest import make_settings
from tests.servers import S3Server

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def on_s3(s3: S3Server, folder: Path, **changes: Any) -> Settings:
    return make_settings(
        folder,
        storage_url=f"s3://{s3.bucket}/{folder.name}",
        s3_endpoint=s3.endpoint,
        s3_access_key_id=s3.access_key_id,
        s3_secret_access_key=SecretStr(s3.secret_access_key),
        **changes,
    )


@pytest.fixture(scope="module")
def s3_service(s3: S3Server, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("redirects")
    shutil.copy(sqlite_template, folder / "secateur.db")
    with running_service(on_s3(s3, folder, s3_public_endpoint=s3.endpoint)) as running:
        yield running


@pytest.fixture(scope="module")
def path(s3_service: Service) -> str:
    with s3_service.client() as client:
        job = make_job(client)
        finish_job(s3_service, start_job(s3_service, job["id"]), {"candidates/01.onnx": CONTENT})
        (artifact,) = client.get(job["links"]["artifacts"]).json()["artifacts"]
    return str(artifact["links"]["content"])


def test_a_download_is_sent_to_the_store_with_all_that_it_is_checked_by(s3_service: Service, path: str) -> None:
    with s3_service.client() as client:
        sent = client.get(path)

    assert sent.status_code == 307
    assert sent.headers["ETag"] == f'"{SHA256}"'
    assert "Repr-Digest" in sent.headers
    assert sent.headers["Cache-Control"] == "no-store"
    whole = httpx2.get(sent.headers["Location"])  # no key: the address is signed
    part = httpx2.get(sent.headers["Location"], headers={"Range": "bytes=10-19"})
    assert whole.content == CONTENT
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert s3_service.key not in sent.headers["Location"]


def test_what_the_store_does_not_know_is_answered_here(s3_service: Service, path: str) -> None:
    with s3_service.client() as client:
        head = client.head(path)
        fresh = client.get(path, headers={"If-None-Match": f'"{SHA256}"'})
        other = client.get(path, headers={"Range": "bytes=10-", "If-Range": '"other"'})
        outside = client.get(path, headers={"Range": f"bytes={len(CONTENT)}-"})

    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert fresh.status_code == 304
    assert (other.status_code, other.content) == (200, CONTENT)
    assert_problem(outside, 416, "range-not-satisfiable")


def test_our_own_client_follows_and_checks(s3_service: Service, path: str, tmp_path: Path) -> None:
    with s3_service.client() as http, Client(s3_service.url, s3_service.key) as client:
        job_id = http.get("/v1/jobs").json()["jobs"][0]["id"]
        (artifact,) = client.artifacts(job_id)
        part = tmp_path / f"out.onnx.{SHA256[:16]}.part"
        part.write_bytes(CONTENT[:100])  # cut short before: a range is asked of the store

        client.download(artifact, tmp_path / "out.onnx")

    assert (tmp_path / "out.onnx").read_bytes() == CONTENT


def test_an_endpoint_that_is_only_ours_is_not_given_away(
    s3: S3Server, s3_service: Service, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_service.services.settings, "s3_public_endpoint", None)
    with s3_service.client() as client:
        answer = client.get(path)

    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_bytes_that_are_gone_are_a_problem_and_no_address(s3_service: Service) -> None:
    with s3_service.client() as client:
        job = make_job(client)
        finish_job(s3_service, start_job(s3_service, job["id"]), {"model.onnx": b"soon gone"})
        (artifact,) = client.get(job["links"]["artifacts"]).json()["artifacts"]
        s3_service.services.storage.delete(artifact["sha256"])

        assert_problem(client.get(artifact["links"]["content"]), 410, "artifact-gone", "model.onnx")
