"""What can be asked before a job: the client waits for a worker, and the command says what was found."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from client import Client, JobFailed, checkup_commands, checkups
from client.cli import compress_command, main
from client.recipes import DEPLOY_KEYS, PREPROCESS_KEYS, TARGET_KEYS, TOP_KEYS

FINDING = {
    "ailment": "channel_order",
    "message": "Red and blue are \x1b[2Jswapped.",
    "fix": "Turn them.",
    "recipe": None,
}
REPORT: dict[str, Any] = {
    "images": 40,
    "looked_at": 32,
    "findings": [FINDING],
    "checks": [{"ailment": "dtype", "verdict": "not examined", "figures": {}, "note": "Too few."}],
}
ESTIMATE: dict[str, Any] = {
    "original": {"parameters": 4000, "macs": 9000, "size_bytes": 16000, "latency_ms_p50": 8.0},
    "predicted": {
        "parameters": {"value": 3000, "low": 2000, "high": 3500},
        "macs": None,
        "size_bytes": {"value": 12000, "low": 8000, "high": 14000},
        "latency_ratio": {"value": 0.7, "low": 0.6, "high": 0.72},
        "latency_ms_p50": {"value": 5.6, "low": 4.8, "high": 5.8},
    },
    "run": {"p50": 300.0, "p90": 600.0},
    "queue": {"p50": None, "p90": None},
    "queue_position": 1,
    "device": "cpu",
    "basis": {"past_jobs": 0, "past_jobs_on_this_model": 0, "units": 3},
    "warnings": ["Guessed."],
}


def client_of(answers: dict[str, list[dict[str, Any]]], seen: list[httpx2.Request]) -> Client:
    """Return a client of a server that gives the answers for each path in turn, and the last one for ever."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        told = answers[request.url.path]
        return httpx2.Response(200, json=told.pop(0) if len(told) > 1 else told[0])

    return Client("http://127.0.0.1:1", "sct_test", transport=httpx2.MockTransport(answer))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkups, "POLL_SECONDS", 0.0)


def test_the_doctor_s_report_is_waited_for() -> None:
    seen: list[httpx2.Request] = []
    steps = [{"state": "waiting"}, {"state": "running"}, {"state": "done", "error": None, "report": REPORT}]

    with client_of({"/v1/datasets/dat_1/report": steps}, seen) as client:
        report = client.checkups.doctor("mod_1", "dat_1", {"mean": [0.5]})

    assert report == REPORT
    assert [dict(request.url.params) for request in seen] == [
        {"model_id": "mod_1", "preprocess": '{"mean": [0.5]}'}
    ] * 3


@pytest.mark.parametrize(
    ("path", "answer", "ask"),
    [
        ("/v1/models/m/analysis", {"state": "rejected"}, lambda client: client.checkups.analysis("m")),
        ("/v1/models/m/analysis", {"state": "rejected"}, lambda client: client.checkups.estimate("m")),
        ("/v1/datasets/d/report", {"state": "done", "report": None}, lambda client: client.checkups.doctor("m", "d")),
    ],
)
def test_what_could_not_be_examined_is_a_failure(
    path: str, answer: dict[str, Any], ask: Callable[[Client], object]
) -> None:
    error = {"code": "model-unreadable", "title": "x", "detail": "It is text."}
    with client_of({path: [answer | {"error": error}]}, []) as client, pytest.raises(JobFailed) as failure:
        ask(client)

    assert failure.value.problem.code == "model-unreadable"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network and pictures, which a client of canned answers uploads without sending anything."""
    paths = [tmp_path / "model.onnx", tmp_path / "images.zip"]
    answers: dict[str, list[dict[str, Any]]] = {
        "/v1/datasets/dat_1/report": [{"state": "done", "error": None, "report": REPORT}],
        "/v1/models/mod_1/analysis": [{"state": "ready", "error": None}],
        "/v1/datasets/dat_1": [{"state": "ready"}],
        "/v1/estimates": [ESTIMATE],
    }
    for path in paths:
        path.write_bytes(b"bytes")
    monkeypatch.setattr(checkup_commands, "open_client", lambda *_given: client_of(answers, []))
    monkeypatch.setattr(checkup_commands, "_bring", lambda *_given: ("mod_1", "dat_1"))
    return [str(path) for path in paths]


def test_the_command_tells_what_is_wrong_and_exits_1(files: list[str]) -> None:
    result = CliRunner().invoke(main, ["doctor", *files, "--mean", "0.5"])

    assert result.exit_code == 1, result.output
    assert "channel_order: Red and blue are" in result.stdout
    assert "\x1b" not in result.stdout
    assert "not examined: dtype. Too few." in result.stdout


def test_the_command_tells_why_a_network_is_not_judged(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    detail = "Model mod_1 was rejected: The file is no network. Export it again."
    refusal = httpx2.Response(422, json={"title": "x", "code": "model-rejected", "detail": detail, "errors": []})
    refusing = Client("http://127.0.0.1:1", "sct_test", transport=httpx2.MockTransport(lambda _request: refusal))
    monkeypatch.setattr(checkup_commands, "open_client", lambda *_given: refusing)

    result = CliRunner().invoke(main, ["doctor", *files])

    assert result.exit_code == 4, result.output
    assert detail in result.stderr


def test_an_estimate_waits_until_model_and_images_are_known() -> None:
    """Only then can it say whether they fit one another."""
    seen: list[httpx2.Request] = []
    steps: dict[str, list[dict[str, Any]]] = {
        "/v1/models/m/analysis": [{"state": "validating"}, {"state": "ready", "error": None}],
        "/v1/datasets/d": [{"state": "validating"}, {"state": "validating"}, {"state": "ready"}],
        "/v1/estimates": [ESTIMATE],
    }

    with client_of(steps, seen) as client:
        found = client.checkups.estimate("m", "d")

    assert found == ESTIMATE
    assert [request.url.path for request in seen] == [
        *["/v1/models/m/analysis"] * 2,
        *["/v1/datasets/d"] * 3,
        "/v1/estimates",
    ]


def test_the_command_tells_what_to_expect(files: list[str]) -> None:
    result = CliRunner().invoke(main, ["estimate", files[0], "-c", files[1], "--latency-ratio", "0.7"])

    assert result.exit_code == 0, result.output
    assert "5.60 ms" in result.stdout
    assert "4.80 ms to 5.80 ms" in result.stdout
    assert "warning: Guessed." in result.stdout


def test_the_command_asks_with_the_recipe_that_its_options_shape(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[httpx2.Request] = []
    answers = {
        "/v1/models/mod_1/analysis": [{"state": "ready", "error": None}],
        "/v1/datasets/dat_1": [{"state": "ready"}],
        "/v1/estimates": [ESTIMATE],
    }
    monkeypatch.setattr(checkup_commands, "open_client", lambda *_given: client_of(answers, seen))

    result = CliRunner().invoke(main, ["estimate", files[0], "--budget-seconds", "60", "--units", "2", "--mean", "0.5"])

    assert result.exit_code == 0, result.output
    recipe = {"budget_seconds": 60.0, "target": {"units": 2}, "preprocess": {"mean": [0.5]}}
    assert json.loads(seen[-1].content)["recipe"] == recipe


def test_whatever_shapes_a_recipe_for_a_job_shapes_it_for_an_estimate() -> None:
    told = [set(inspect.signature(command).parameters) for command in (compress_command, checkup_commands.estimate)]
    shaping = {*TARGET_KEYS, *PREPROCESS_KEYS, *DEPLOY_KEYS, *TOP_KEYS, "min_agreement", "architecture", "recipe"}

    assert [shaping - names for names in told] == [set(), set()]
