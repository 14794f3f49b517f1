"""The command `secateur` as a person and as a program meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client.cli import main
from tests.client import samples
from tests.client.fake_service import KEY, FakeService

CONTENT = b"a smaller network"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: FakeService) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"a network")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"a picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECATEUR_SERVER", service.url)
    monkeypatch.setenv("SECATEUR_KEY", KEY)
    service.files["model.onnx"] = CONTENT
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def a_finished_job(service: FakeService, outcome: str = "target_met") -> None:
    running = samples.job("running", stage="score", fraction=0.4, eta_seconds=30.0, message="unit 2 of 3", version=2)
    service.jobs["job_1"] = [samples.job("submitted"), running, samples.succeeded(outcome)]
    service.reports["job_1"] = samples.report(outcome)


def test_compress_brings_the_files_and_writes_the_result(service: FakeService, files: Path) -> None:
    a_finished_job(service)

    options = ["--latency-ratio", "0.7", "--batch", "8", "--mean", "0.5", "--synthesis", "inversion"]
    result = run("compress", "model.onnx", "-c", "images", *options)

    assert result.exit_code == 0, result.output
    assert (files / "pruned.onnx").read_bytes() == CONTENT
    assert "cut 2 of 3 units: a, b" in result.stdout
    assert "0.690 to 0.710" in result.stdout
    assert "score · unit 2 of 3  about 30 s left" in result.stderr
    assert service.submitted[0]["recipe"] == {
        "target": {"latency_ratio": 0.7},
        "deploy": {"batch": 8},
        "preprocess": {"mean": [0.5]},
        "synthesis": "inversion",
    }


def test_compress_speaks_json_to_programs(service: FakeService, files: Path) -> None:
    a_finished_job(service)

    result = run("compress", "model.onnx", "--json", "--report", "report.json", "-o", "small.onnx")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["report"] == samples.report()
    assert json.loads((files / "report.json").read_text()) == samples.report()
    assert service.submitted[0]["dataset_id"] is None


def test_no_gain_exits_1(service: FakeService, files: Path) -> None:
    a_finished_job(service, "no_gain")

    assert run("compress", "model.onnx").exit_code == 1


def test_a_failed_job_says_what_where_and_what_to_do(service: FakeService, files: Path) -> None:
    error = {
        "code": "nothing-to-cut",
        "title": "The model has no part that can be removed",
        "message": "No residual branch\x1b[2J.",
        "where": "model.onnx",
        "retryable": False,
    }
    service.jobs["job_1"] = [samples.job("rejected", error=error)]

    result = run("compress", "model.onnx")

    assert result.exit_code == 1
    assert "what:    No residual branch." in result.stderr
    assert "where:   model.onnx" in result.stderr
    assert "to do:   Send a network" in result.stderr
    assert not (files / "pruned.onnx").exists()


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(
    service: FakeService, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_finished_job(service)

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("client.cli.collect", interrupted)
    result = run("compress", "model.onnx")

    assert result.exit_code == 130
    assert "secateur cancel job_1" in result.stderr
    assert service.sent("POST", "/cancel") == 0


def test_download_fetches_what_was_left_running(service: FakeService, files: Path) -> None:
    a_finished_job(service)

    assert run("download", "job_1", "-o", "later.onnx").exit_code == 0
    assert (files / "later.onnx").read_bytes() == CONTENT


def test_jobs_job_and_cancel(service: FakeService, files: Path) -> None:
    service.jobs["job_1"] = [samples.job("running", message="[bold]no markup[/bold]")]

    assert "job_1" in run("jobs").stdout
    assert json.loads(run("jobs", "--json").stdout)[0]["id"] == "job_1"
    assert "[bold]no markup[/bold]" in run("job", "job_1").stdout
    assert "cancelled" in run("cancel", "job_1").stdout
    assert run("job", "job_1", "--follow").exit_code == 1


def test_report_is_printed_again(service: FakeService, files: Path) -> None:
    a_finished_job(service)

    assert "warning: one" in run("report", "job_1").stdout
    assert json.loads(run("report", "job_1", "--json").stdout) == samples.report()


def test_exit_codes_tell_usage_absence_and_refusal_apart(
    service: FakeService, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("compress", "absent.onnx").exit_code == 2
    assert run("compress", "model.onnx", "--units", "1", "--latency-ms", "3").exit_code == 2
    assert run("job", "job_unknown").exit_code == 4
    monkeypatch.delenv("SECATEUR_KEY")
    keyless = run("jobs")
    assert keyless.exit_code == 2
    assert "SECATEUR_KEY" in keyless.stderr


def test_an_absent_server_exits_3(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.connection.FIRST_CONTACT_SECONDS", 0.2)

    assert run("jobs", "--server", "http://127.0.0.1:9").exit_code == 3
