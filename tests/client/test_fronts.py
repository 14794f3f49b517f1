"""A front as the command and the SDK meet it: a folder of networks, a table, and names of our own on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from client import Client
from client.compress import folder_of
from tests.client import samples
from tests.client.fake_service import FakeService
from tests.client.test_cli import files, run

__all__ = ["files"]  # the fixture

FRONT = {"recipe": {"target": {"pareto": 3}}}


def a_finished_front(service: FakeService, outcome: str = "target_met", **changes: Any) -> None:
    service.jobs["job_1"] = [samples.job("submitted", **FRONT), samples.succeeded(outcome) | FRONT]
    service.reports["job_1"] = samples.report(outcome)
    service.fronts["job_1"] = [samples.candidate(number, 3, **changes) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        service.files[f"candidates/{number:02}.onnx"] = b"network %d" % number
        service.roles[f"candidates/{number:02}.onnx"] = "candidate"
    service.files |= {"report.json": b"{}", "front.svg": b"<svg/>", "attempt-1.log": b"a log"}
    service.roles |= {"report.json": "report", "front.svg": "plot", "attempt-1.log": "log"}


@pytest.mark.parametrize("output", ["front", "front.onnx"])
def test_a_front_becomes_a_folder_and_a_table(service: FakeService, files: Path, output: str) -> None:
    a_finished_front(service)

    result = run("compress", "model.onnx", "--pareto", "3", "-o", output)

    assert result.exit_code == 0, result.output
    assert service.submitted[0]["recipe"] == {"target": {"pareto": 3}}
    found = {str(path.relative_to(files / "front")) for path in (files / "front").rglob("*") if path.is_file()}
    candidates = {f"candidates/{number:02}.onnx" for number in (1, 2, 3)}
    assert found == {"model.onnx", "report.json", "front.svg"} | candidates
    assert (files / "front/candidates/03.onnx").read_bytes() == b"network 3"
    for said in ("candidates/02.onnx", "0.490 to 0.510", "0.2000", "unmeasured"):
        assert said in result.stdout


def test_a_front_speaks_json_to_programs(service: FakeService, files: Path) -> None:
    a_finished_front(service)

    answer = json.loads(run("download", "job_1", "--json", "-o", "front").stdout)

    assert answer["folder"] == "front"
    assert answer["candidates"] == service.fronts["job_1"]


def test_a_name_of_the_servers_never_chooses_a_place_on_the_disk(service: FakeService, files: Path) -> None:
    a_finished_front(service, id="../../evil", name="../../evil.onnx")

    result = run("download", "job_1", "-o", "front")

    assert result.exit_code == 0, result.output
    assert {path.name for path in (files / "front/candidates").iterdir()} == {"01.onnx", "02.onnx", "03.onnx"}
    assert not list(files.parent.glob("**/evil*"))


def test_without_gain_there_is_no_front_but_the_original(service: FakeService, files: Path) -> None:
    a_finished_front(service, "no_gain")
    service.fronts["job_1"] = []

    result = run("download", "job_1", "-o", "front")

    assert result.exit_code == 1
    assert (files / "front/model.onnx").exists()
    assert not (files / "front/candidates").exists()


def test_the_sdk_lists_a_front(service: FakeService, client: Client) -> None:
    a_finished_front(service)

    found = client.candidates("job_1")

    assert [one.id for one in found] == ["01", "02", "03"]
    assert [one.latency_ratio for one in found] == [0.75, 0.5, 0.25]
    assert [one.is_model for one in found] == [True, False, False]


def test_the_folder_of_a_front_has_no_ending() -> None:
    assert [folder_of(Path(path)) for path in ("pruned.onnx", "out", "a.b/c")] == [
        Path("pruned"),
        Path("out"),
        Path("a.b/c"),
    ]
