"""The resume law: however a connection is cut, the upload goes on from what arrived, and the bytes add up."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.uploads import partfile
from app.uploads import service as uploads
from tests.app.running import Service, assert_problem, running_service, wait_until
from tests.app.test_uploads import append, create
from tests.conftest import make_settings

CONTENT = random.Random(7).randbytes(3 * 1024**2 + 77)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def offset_of(client: httpx2.Client, upload_id: str) -> int:
    return int(client.head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"])


def send_and_cut(service: Service, upload_id: str, start: int, part: bytes, cut_at: int) -> None:
    """Announce a part, send its first `cut_at` bytes, and drop the connection."""
    head = (
        f"PATCH /v1/uploads/{upload_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.key}\r\n"
        f"Content-Type: application/partial-upload\r\nUpload-Offset: {start}\r\nUpload-Complete: ?0\r\n"
        f"Content-Length: {len(part)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as raw:
        raw.sendall(head.encode() + part[:cut_at])


@given(cuts=st.lists(st.integers(min_value=0, max_value=len(CONTENT)), max_size=4))
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_upload_survives_cuts_anywhere(service: Service, cuts: list[int]) -> None:
    with service.client() as client:
        upload_id = create(client, len(CONTENT), sha256=None)
        offset = 0
        for cut in sorted(cuts):
            send_and_cut(service, upload_id, offset, CONTENT[offset:], max(0, cut - offset))
            found = offset_of(client, upload_id)
            assert offset <= found <= max(offset, cut), "nothing is lost that was acknowledged, nothing is made up"
            offset = found

        for _ in range(10):
            done = append(client, upload_id, offset, CONTENT[offset:], "?1")
            if done.status_code != 409:  # a cut request was still waiting to be read when its offset was asked for
                break
            found = offset_of(client, upload_id)
            assert found >= offset
            offset = found

        assert done.status_code == 200, done.text
        assert done.json()["sha256"] == SHA256
        client.delete(f"/v1/uploads/{upload_id}")


def test_what_arrived_before_a_cut_is_kept(service: Service, client: httpx2.Client) -> None:
    with service.client() as owner:
        upload_id = create(owner, len(CONTENT))

        send_and_cut(service, upload_id, 0, CONTENT, 2_500_000)

        wait_until(lambda: offset_of(owner, upload_id) > 0)
        assert offset_of(owner, upload_id) > 2_000_000


def test_a_newcomer_takes_over_from_a_silent_connection(service: Service) -> None:
    with service.client() as client:
        upload_id = create(client, len(CONTENT))
        head = (
            f"PATCH /v1/uploads/{upload_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.key}\r\n"
            "Content-Type: application/partial-upload\r\nUpload-Offset: 0\r\nUpload-Complete: ?0\r\n"
            f"Content-Length: {len(CONTENT)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", service.port)) as silent:
            silent.sendall(head.encode() + CONTENT[:1_500_000])
            wait_until((service.services.part_folder / f"{upload_id}.part").exists)

            offset = offset_of(client, upload_id)
            done = append(client, upload_id, offset, CONTENT[offset:], "?1")

            answer = silent.recv(65536)
        assert done.json()["sha256"] == SHA256
        assert answer.startswith(b"HTTP/1.1 409")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "upload-taken-over"


def test_two_writers_at_once_never_mix(service: Service) -> None:
    """Whoever wins, the file is one of the two, or a part of one: never bytes of both."""
    with service.client() as client:
        upload_id = create(client, 2_000_000)
        answers: list[int] = []

        def send(letter: bytes) -> None:
            with service.client() as own:
                answers.append(append(own, upload_id, 0, (letter * 50_000 for _ in range(40)), "?1").status_code)

        threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        upload = client.get(f"/v1/uploads/{upload_id}").json()
        if upload["complete"]:
            both = {hashlib.sha256(letter * 2_000_000).hexdigest() for letter in (b"a", b"b")}
            assert upload["sha256"] in both
        else:
            kept = (service.services.part_folder / f"{upload_id}.part").read_bytes()[: upload["offset_bytes"]]
            assert len(set(kept)) <= 1
        assert set(answers) <= {200, 409, 422}


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path) -> Path:
    (tmp_path / "secateur.db").write_bytes(sqlite_template.read_bytes())
    return tmp_path


def test_an_upload_goes_on_after_a_restart_of_the_server(folder: Path) -> None:
    with running_service(make_settings(folder)) as before:
        key = before.key
        with before.client() as client:
            upload_id = create(client, len(CONTENT), sha256=SHA256)
            append(client, upload_id, 0, CONTENT[:1_000_001])

    with running_service(make_settings(folder)) as after, after.client(key) as client:
        assert offset_of(client, upload_id) == 1_000_001
        assert append(client, upload_id, 1_000_001, CONTENT[1_000_001:], "?1").json()["sha256"] == SHA256


def test_bytes_that_were_never_acknowledged_are_cut_off(service: Service) -> None:
    """A crash may leave more in the file than the database knows of; those bytes may be anything."""
    with service.client() as client:
        upload_id = create(client, len(CONTENT))
        append(client, upload_id, 0, CONTENT[:1000])
        with (service.services.part_folder / f"{upload_id}.part").open("ab") as file:
            file.write(b"never acknowledged")

        done = append(client, upload_id, 1000, CONTENT[1000:], "?1")

    assert done.json()["sha256"] == SHA256


def test_a_part_file_that_was_lost_ends_the_upload(service: Service) -> None:
    """The draft lets no offset go back: what was acknowledged need not be kept by the client any more."""
    with service.client() as client:
        upload_id = create(client, len(CONTENT))
        append(client, upload_id, 0, CONTENT[:1000])
        (service.services.part_folder / f"{upload_id}.part").unlink()

        lost = append(client, upload_id, 1000, CONTENT[1000:], "?1")

        assert_problem(lost, 410, "upload-failed", "only 0 bytes")
        assert client.head(f"/v1/uploads/{upload_id}").status_code == 410


def test_nothing_is_acknowledged_before_it_is_on_disk(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every offset in the database is preceded by an fsync of that many bytes."""
    synced: list[int] = []
    acknowledged: list[tuple[int, int]] = []
    real_sync = partfile.PartFile.sync

    def sync(file: partfile.PartFile, *, is_end: bool) -> int:
        synced.append(real_sync(file, is_end=is_end))
        return synced[-1]

    monkeypatch.setattr(partfile.PartFile, "sync", sync)
    real_note = uploads.note

    def note(session: Session, upload_id: str, writer: str, **values: Any) -> None:
        real_note(session, upload_id, writer, **values)
        acknowledged.append((values["offset_bytes"], synced[-1]))

    monkeypatch.setattr(uploads, "note", note)

    with service.client() as client:
        upload_id = create(client, 20 * 1024**2)
        append(client, upload_id, 0, bytes(20 * 1024**2), "?1")

    assert synced[-1] == 20 * 1024**2
    assert len(synced) >= 3, "a checkpoint each 8 MiB"
    assert len(acknowledged) >= len(synced)
    assert all(offset <= safe for offset, safe in acknowledged)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("app.memory.turns.IDLE_SECONDS", 0.2)
    return


@pytest.mark.usefixtures("impatient")
def test_a_body_that_stands_still_is_given_up_and_kept(service: Service) -> None:
    with service.client() as client:
        upload_id = create(client, len(CONTENT))

        def slow() -> Iterator[bytes]:
            yield CONTENT[:1000]
            threading.Event().wait(1.0)
            yield CONTENT[1000:]

        response = append(client, upload_id, 0, slow())

        assert_problem(response, 408, "request-timeout", "kept")
        assert offset_of(client, upload_id) == 1000
