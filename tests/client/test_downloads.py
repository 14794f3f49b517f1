"""Only right bytes reach the destination."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client import Client, DownloadCorrupt, Refused
from client.resources import Artifact
from tests.client.fake_service import FakeService

CONTENT = os.urandom(300_000)


@pytest.fixture
def artifact(service: FakeService, client: Client) -> Artifact:
    service.files["model.onnx"] = CONTENT
    return client.artifacts("job_1")[0]


def test_a_file_arrives_whole(client: Client, artifact: Artifact, tmp_path: Path) -> None:
    heard: list[int] = []

    client.download(artifact, tmp_path / "new" / "pruned.onnx", on_bytes=lambda done, _total: heard.append(done))

    assert (tmp_path / "new" / "pruned.onnx").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pruned.onnx"]
    assert heard[-1] == len(CONTENT)


def test_a_cut_connection_resumes(service: FakeService, client: Client, artifact: Artifact, tmp_path: Path) -> None:
    service.cuts = 2

    client.download(artifact, tmp_path / "pruned.onnx")

    assert (tmp_path / "pruned.onnx").read_bytes() == CONTENT
    ranges = [headers.get("Range") for _, path, headers in service.requests if path.endswith("/content")]
    assert ranges == [None, "bytes=150000-", "bytes=225000-"]


def test_a_later_run_takes_up_the_part_that_is_there(
    service: FakeService, client: Client, artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / f"pruned.onnx.{artifact.sha256[:16]}.part").write_bytes(CONTENT[:1000])

    client.download(artifact, tmp_path / "pruned.onnx")

    assert (tmp_path / "pruned.onnx").read_bytes() == CONTENT
    assert service.requests[-1][2]["Range"] == "bytes=1000-"


def test_damaged_bytes_never_reach_the_destination(
    service: FakeService, client: Client, artifact: Artifact, tmp_path: Path
) -> None:
    service.corrupt = True
    (tmp_path / "pruned.onnx").write_bytes(b"the one before")

    with pytest.raises(DownloadCorrupt, match="sha256"):
        client.download(artifact, tmp_path / "pruned.onnx")

    assert (tmp_path / "pruned.onnx").read_bytes() == b"the one before"
    assert list(tmp_path.glob("*.part")) == []


def test_a_refused_download_is_a_problem(client: Client, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        client.download(Artifact("nothing", "model.onnx", "model", "0" * 64, 10), tmp_path / "pruned.onnx")

    assert refusal.value.problem.code == "not-found"
