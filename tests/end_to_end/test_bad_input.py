"""Whatever is wrong is told as one and the same kind of object, that says what was found and what to do."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

from client import Client, Job, JobFailed, Refused, UsageError
from client.compress import collect
from client.progress import Lines
from tests.end_to_end import samples
from tests.end_to_end.deployments import Deployment
from tests.end_to_end.words import RECIPE, User

MODELS = {
    "truncated": (lambda: samples.residual_network()[:2000], "model-unreadable"),
    "text": (lambda: b"This is not a network.\n" * 50, "model-unreadable"),
    "custom-domain": (samples.network_of_a_foreign_domain, "operator-unsupported"),
}
DATASETS = {
    "wrong-size": (lambda: samples.arrays(8, 1, 2 * samples.SIDE, 2 * samples.SIDE), "calibration-mismatch"),
    "wrong-channels": (lambda: samples.arrays(8, 5, samples.SIDE, samples.SIDE), "calibration-mismatch"),
    "no-images": (samples.zip_without_images, "calibration-unreadable"),
}
RECIPES: dict[str, tuple[dict[str, Any], str]] = {
    "too-many-units": ({"target": {"units": 99}}, "target-infeasible"),
    "too-small": ({"target": {"latency_ratio": 0.001}}, "target-infeasible"),
}
EXPECTED = {
    name: code
    for table in (DATASETS, RECIPES)
    for name, (_, code) in table.items()
    if code != "calibration-unreadable"  # no network is needed to tell that
}


@pytest.fixture(scope="module")
def submitted(user: User) -> dict[str, Job]:
    """Every bad job at once, so that one waits while another runs."""
    jobs = {}
    for name, (content, _) in DATASETS.items():
        if name in EXPECTED:
            jobs[name] = user.client.submit(user.model_id, user.upload_dataset(f"{name}.zip", content()), RECIPE)
    for name, (recipe, _) in RECIPES.items():
        jobs[name] = user.submit(**recipe)
    return jobs


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_model_is_rejected_before_any_job(user: User, name: str) -> None:
    content, code = MODELS[name]
    model_id = user.upload_model(f"{name}.onnx", content())

    with pytest.raises(JobFailed) as failure:
        user.client.checkups.analysis(model_id)
    with pytest.raises(Refused) as refusal:
        user.client.submit(model_id, user.dataset_id, RECIPE)

    assert failure.value.problem.code == code
    assert name != "text" or failure.value.problem.where == "text.onnx"  # the user's name, wherever it was read
    assert (refusal.value.problem.status, refusal.value.problem.code) == (422, "model-rejected")
    assert failure.value.problem.what in refusal.value.problem.what


def test_a_job_that_was_quicker_than_the_examination_is_rejected(user: User) -> None:
    model_id = user.upload_model("quick.onnx", samples.network_of_a_foreign_domain())

    job = user.wait(user.client.submit(model_id, user.dataset_id, RECIPE))

    assert (job.state, job.raw["error"]["code"]) == ("rejected", "operator-unsupported")


def test_a_method_that_finds_nothing_rejects_the_job_and_not_the_model(user: User) -> None:
    model_id = user.upload_model("plain.onnx", samples.plain_network())

    job = user.wait(user.client.submit(model_id, user.dataset_id, RECIPE | {"method": {"name": "practise"}}))

    assert (job.state, job.raw["error"]["code"]) == ("rejected", "nothing-to-cut")
    assert user.client.checkups.analysis(model_id)["state"] == "ready"


def test_images_that_are_none_have_no_report(user: User) -> None:
    content, code = DATASETS["no-images"]
    dataset_id = user.upload_dataset("none.zip", content())

    with pytest.raises((JobFailed, Refused)) as failure:
        user.client.checkups.doctor(user.model_id, dataset_id)

    assert failure.value.problem.code in {code, "dataset-rejected"}
    assert "There is no picture in 'none.zip'" in str(failure.value)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_job_ends_with_an_error_that_helps(user: User, submitted: dict[str, Job], name: str) -> None:
    job = user.wait(submitted[name])

    assert job.state in {"rejected", "failed"}
    error = job.raw["error"]
    assert error["code"] == EXPECTED[name]
    assert len(error.get("detail") or error["message"]) > 20
    assert error["retryable"] is False
    with pytest.raises(Refused) as refusal:
        user.client.report(job.id)
    assert refusal.value.problem.status == 404


def test_an_empty_file_is_refused(user: User) -> None:
    with pytest.raises(UsageError, match="empty") as refusal:
        user.upload_model("empty.onnx", b"")

    assert "empty.onnx" in (refusal.value.problem.where or "")


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"target": {"latency_ration": 0.7}}, "latency_ratio"),
        ({"target": {"latency_ratio": 1.5}}, "latency_ratio"),
        ({"target": {"units": 1, "latency_ms": 3}}, "units"),
        ({"treshold": 1}, "treshold"),
        ({"deploy": {"batch": 0}}, "batch"),
        ({"method": {"name": "magic"}}, "method/name"),
    ],
)
def test_a_wrong_recipe_is_refused_and_its_key_named(user: User, recipe: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused) as refusal:
        user.client.submit(user.model_id, user.dataset_id, recipe)

    problem = refusal.value.problem
    assert problem.status == 422
    assert named in f"{problem.what} {problem.where}"


@pytest.mark.parametrize("identifier", ["job_unknown", "job_" + "0" * 26, "x" * 300, "..%2f..%2fetc"])
def test_an_unknown_job_is_not_found(user: User, identifier: str) -> None:
    with pytest.raises(Refused) as refusal:
        user.client.job(identifier)

    assert refusal.value.problem.status == 404


@pytest.mark.parametrize(
    "key", ["sct_wrong", "sct_8h27wxwebb5r_f5hd3zn2revcme6s4t01y0958sxcvhfs398xv157s2p3sxzn7w9j10sbeec"]
)
def test_a_wrong_key_opens_nothing(deployment: Deployment, key: str) -> None:
    with Client(deployment.url, key) as stranger, pytest.raises(Refused) as refusal:
        stranger.job("job_1")

    assert refusal.value.problem.code == "unauthorized"


def test_a_wrong_sha256_is_refused(deployment: Deployment) -> None:
    headers = {"Authorization": f"Bearer {deployment.key}", "X-Content-Sha256": "0" * 64}

    answer = httpx2.put(f"{deployment.url}/v1/files?filename=x.onnx", content=b"bytes", headers=headers, timeout=30)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "digest-mismatch"


def test_a_file_over_the_limit_is_refused_before_it_is_sent(deployment: Deployment) -> None:
    headers = {"Authorization": f"Bearer {deployment.key}"}
    asked = {"filename": "huge.onnx", "size_bytes": 2**50, "sha256": "0" * 64}

    answer = httpx2.post(f"{deployment.url}/v1/uploads", json=asked, headers=headers, timeout=30)

    assert answer.status_code == 413
    assert answer.json()["code"] == "upload-too-large"


def test_the_command_line_ends_with_the_job_s_error(user: User, submitted: dict[str, Job], tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failure:
        collect(user.client, submitted["too-small"].id, tmp_path / "never.onnx", Lines(Console(file=io.StringIO())))

    assert failure.value.problem.code == "target-infeasible"
    assert list(tmp_path.iterdir()) == []
