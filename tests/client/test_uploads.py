"""A file arrives whole, once, whatever happens on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import client.uploads
from client import Client, Refused, UsageError
from client.uploads import upload
from tests.client.fake_service import KEY, FakeService

CHUNK_BYTES = 1000


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.uploads, "CHUNK_BYTES", CHUNK_BYTES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(os.urandom(3500))
    return path


@pytest.fixture
def sdk(service: FakeService) -> Iterator[Client]:
    with Client(service.url, KEY, patience_seconds=5) as found:
        yield found


def test_a_file_arrives_whole_and_progress_reaches_its_size(service: FakeService, sdk: Client, file: Path) -> None:
    heard: list[tuple[int, int]] = []

    upload_id = upload(sdk.connection, file, on_bytes=lambda done, total: heard.append((done, total)))

    assert service.uploads[upload_id].content == file.read_bytes()
    assert heard == [(0, 3500), (1000, 3500), (2000, 3500), (3000, 3500), (3500, 3500)]


def test_a_cut_connection_resumes_where_the_server_stands(service: FakeService, sdk: Client, file: Path) -> None:
    service.cuts = 2

    upload_id = upload(sdk.connection, file)

    assert service.uploads[upload_id].content == file.read_bytes()
    assert service.patched_bytes == 3500


def test_bytes_that_the_server_knows_are_not_sent_again(service: FakeService, sdk: Client, file: Path) -> None:
    upload(sdk.connection, file)
    copy = file.with_name("another-name.onnx")
    copy.write_bytes(file.read_bytes())

    upload(sdk.connection, copy)

    assert service.patched_bytes == 3500


def test_a_killed_client_finds_its_half_sent_upload(service: FakeService, sdk: Client, file: Path) -> None:
    """Another process knows nothing but the file; what arrived before the kill is not sent again."""
    service.cuts = 1
    with pytest.raises(KeyboardInterrupt):
        upload(sdk.connection, file, on_bytes=_interrupt_after(1))

    with Client(service.url, KEY) as another:
        upload_id = upload(another.connection, file)

    assert len(service.uploads) == 1
    assert service.uploads[upload_id].content == file.read_bytes()
    assert service.patched_bytes == 3500


def test_an_expired_upload_begins_anew(service: FakeService, sdk: Client, file: Path) -> None:
    first = upload(sdk.connection, file)
    del service.uploads[first]

    second = upload(sdk.connection, file)

    assert service.uploads[second].content == file.read_bytes()


def test_an_empty_file_is_refused_before_anything_is_sent(service: FakeService, sdk: Client, file: Path) -> None:
    file.write_bytes(b"")

    with pytest.raises(UsageError, match="empty") as refusal:
        upload(sdk.connection, file)

    assert refusal.value.problem.where == str(file)
    assert not service.uploads


def test_a_file_that_changes_on_the_way_is_refused(service: FakeService, sdk: Client, file: Path) -> None:
    def change_the_bytes(done: int, _total: int) -> None:
        if done == 0:
            file.write_bytes(b"x" * 3500)

    with pytest.raises(Refused) as refusal:
        upload(sdk.connection, file, on_bytes=change_the_bytes)

    assert refusal.value.problem.code == "digest-mismatch"


def test_a_file_that_is_not_there_is_a_usage_error(sdk: Client, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        upload(sdk.connection, tmp_path / "absent.onnx")

    assert error.value.problem.where == str(tmp_path / "absent.onnx")


def _interrupt_after(calls: int) -> client.uploads.Advance:
    heard = []

    def on_bytes(done: int, _total: int) -> None:
        heard.append(done)
        if len(heard) > calls:
            raise KeyboardInterrupt

    return on_bytes
