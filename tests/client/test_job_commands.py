"""What can be done with a job at the prompt: held, tried again, read, compared, deleted, asked for with wishes."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from client.cli import main
from tests.client import samples
from tests.client.fake_service import KEY, FakeService


@pytest.fixture(autouse=True)
def at_the_prompt(monkeypatch: pytest.MonkeyPatch, service: FakeService) -> None:
    monkeypatch.setenv("SECATEUR_SERVER", service.url)
    monkeypatch.setenv("SECATEUR_KEY", KEY)
    service.jobs["job_1"] = [samples.job("running")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(("command", "state"), [("pause", "paused"), ("resume", "queued"), ("retry", "submitted")])
def test_a_job_is_held_goes_on_and_is_tried_again(service: FakeService, command: str, state: str) -> None:
    told, plain = run(command, "job_1", "--json"), run(command, "job_1")

    assert json.loads(told.stdout)["state"] == state
    assert state in plain.stdout
    assert service.sent("POST", f"/v1/jobs/job_1/{command}") == 2


def test_a_deletion_shows_its_receipt(service: FakeService) -> None:
    result = run("delete", "job_1")

    assert result.exit_code == 0, result.output
    assert "del_1" in result.stdout
    assert "0" * 64 in result.stdout
    assert "job_1" not in service.jobs


def test_a_log_is_printed_without_what_moves_a_terminal() -> None:
    assert run("log", "job_1").stdout == "all that was told of it\n"


def test_two_jobs_are_shown_side_by_side() -> None:
    shown = run("compare", "job_1", "job_2").stdout

    for words in (
        "latency_ratio",
        "0.7",
        "0.8",
        "yes",
        "seed: 0 / 5",
        "cut in the first only: a",
        "on different models",
    ):
        assert words in shown
    assert json.loads(run("compare", "job_1", "job_2", "--json").stdout)["figures"][0]["is_sure"]


def test_a_report_becomes_a_page(tmp_path: Path) -> None:
    result = run("report", "job_1", "--html", str(tmp_path / "report.html"))

    assert result.exit_code == 0, result.output
    assert (tmp_path / "report.html").read_text() == "<!doctype html>"


def test_jobs_are_listed_by_labels(service: FakeService) -> None:
    assert run("jobs", "--label", "team=vision", "--label", "env=a=b").exit_code == 0

    asked = parse_qs(urlsplit(service.requests[-1][1]).query)
    assert asked["label"] == ["team=vision", "env=a=b"]
    assert run("jobs", "--label", "team").exit_code == 2


def test_wishes_go_with_the_job(service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"a network")
    service.files["model.onnx"] = b"smaller"
    service.jobs["job_1"] = [samples.succeeded("target_met")]
    service.reports["job_1"] = samples.report("target_met")
    wishes = ["--label", "team=vision", "--priority", "7", "--deadline", "2099-01-02T03:04"]

    result = run("compress", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "out.onnx"), *wishes)

    assert result.exit_code == 0, result.output
    asked = service.submitted[0]
    assert (asked["labels"], asked["priority"]) == ({"team": "vision"}, 7)
    moment = datetime.fromisoformat(asked["deadline"])
    assert moment.tzinfo is not None
    assert moment == datetime(2099, 1, 2, 3, 4).astimezone()
    assert run("compress", str(tmp_path / "model.onnx"), "--priority", "101").exit_code == 2
