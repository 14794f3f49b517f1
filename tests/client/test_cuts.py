"""The client against the service itself: cuts at random bytes, and parts that go to the store."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from pydantic import SecretStr

import client.patience
import client.uploads
from benchmarks.uploads import Tally, cut_uploads
from client import Client, Refused
from client.connection import Connection
from client.uploads import upload
from tests.app.running import Service, running_service
from tests.conftest import make_settings
from tests.servers import S3Server, free_port

MIB = 1024**2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.patience, "FIRST_WAIT_SECONDS", 0.02)


@pytest.fixture
def embedded(tmp_path: Path, sqlite_template: Path) -> Iterator[Service]:
    shutil.copy(sqlite_template, tmp_path / "secateur.db")
    with running_service(make_settings(tmp_path)) as running:
        yield running


@pytest.fixture
def over_s3(tmp_path: Path, sqlite_template: Path, s3: S3Server) -> Iterator[Service]:
    """A service whose operator says how clients reach the store."""
    shutil.copy(sqlite_template, tmp_path / "secateur.db")
    store = {
        "storage_url": f"s3://{s3.bucket}/{tmp_path.name}",
        "s3_endpoint": s3.endpoint,
        "s3_public_endpoint": s3.endpoint,
        "s3_access_key_id": s3.access_key_id,
        "s3_secret_access_key": SecretStr(s3.secret_access_key),
        "direct_part_bytes": 5 * MIB,
    }
    with running_service(make_settings(tmp_path, **store)) as running:
        yield running


@pytest.mark.usefixtures("impatient")
def test_cuts_at_random_bytes_are_all_resumed(
    embedded: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m benchmarks.uploads` does the same with larger files, two hundred cuts and kills of the server."""
    monkeypatch.setattr(client.uploads, "CHUNK_BYTES", 2 * MIB)
    draw, file, tally = random.Random(17), tmp_path / "file.bin", Tally()

    for size_bytes in (9 * MIB, 6 * MIB + 1):
        file.write_bytes(draw.randbytes(size_bytes))
        cut_at = [draw.randrange(size_bytes) for _ in range(10)]
        cut_uploads(embedded.port, embedded.key, file, tally, cut_at, lambda _number: None)

    assert (tally.uploads, tally.equal, tally.cuts, len(tally.resent_bytes)) == (2, 2, 20, 20)
    assert max(tally.resent_bytes) <= 2 * MIB


def test_a_file_goes_to_the_store_in_parts(over_s3: Service, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(10 * MIB + 5)
    file, heard = tmp_path / "images.zip", []
    file.write_bytes(content)
    connection = Connection(over_s3.url, over_s3.key)

    upload_id = upload(connection, file, on_bytes=lambda done, _total: heard.append(done))

    found = connection.request("GET", f"/v1/uploads/{upload_id}").json()
    connection.close()
    assert found == {**found, "state": "complete", "size_bytes": len(content), "error": None, "sha256": ANY}
    assert over_s3.services.storage.size(found["sha256"]) == len(content)
    assert heard[-1] == len(content)
    assert heard == sorted(heard)


def test_a_store_that_is_out_of_reach_is_gone_around(over_s3: Service, tmp_path: Path) -> None:
    object.__setattr__(over_s3.services.settings, "s3_public_endpoint", f"http://127.0.0.1:{free_port()}")
    file = tmp_path / "images.zip"
    file.write_bytes(random.Random(5).randbytes(6 * MIB))

    with Client(over_s3.url, over_s3.key) as sdk:
        upload_id = upload(sdk.connection, file)

        assert sdk.connection.request("GET", f"/v1/uploads/{upload_id}").json()["complete"]


def test_a_client_that_was_killed_puts_only_what_is_missing(
    over_s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "images.zip"
    file.write_bytes(random.Random(3).randbytes(10 * MIB + 5))
    put, sizes = Connection.put_elsewhere, []

    def put_and_die(connection: Connection, url: str, content: bytes) -> object:
        sizes.append(len(content))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return put(connection, url, content)

    monkeypatch.setattr(Connection, "put_elsewhere", put_and_die)
    with Client(over_s3.url, over_s3.key) as killed, pytest.raises(KeyboardInterrupt):
        upload(killed.connection, file)

    with Client(over_s3.url, over_s3.key) as another:
        upload_id = upload(another.connection, file)
        assert another.connection.request("GET", f"/v1/uploads/{upload_id}").json()["complete"]

    assert len(sizes) == 4


def test_a_file_of_another_kind_is_refused_before_it_has_arrived(embedded: Service, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(3 * MIB))

    with Client(embedded.url, embedded.key) as sdk, pytest.raises(Refused) as refusal:
        sdk.upload_model(file)

    assert refusal.value.problem.code == "unsupported-format"


def test_an_upload_that_the_server_gave_up_begins_anew(embedded: Service, tmp_path: Path) -> None:
    file = tmp_path / "net.bin"
    file.write_bytes(random.Random(4).randbytes(MIB))
    with Client(embedded.url, embedded.key) as sdk:
        body = {"filename": "net.bin", "size_bytes": MIB, "sha256": client.uploads._size_and_sha256(file)[1]}
        key = client.uploads._resuming_key(body)
        first = sdk.connection.post("/v1/uploads", body, idempotency_key=key).json()["id"]
        headers = {"Upload-Offset": "0", "Upload-Complete": "?1"}
        wrong = sdk.connection.send_once("PATCH", f"/v1/uploads/{first}", content=bytes(MIB), headers=headers)

        second = upload(sdk.connection, file)

        assert wrong.json()["code"] == "digest-mismatch"
        assert second != first
        assert sdk.connection.request("GET", f"/v1/uploads/{second}").json()["complete"]
