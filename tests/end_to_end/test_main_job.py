"""The main road, over HTTP alone: a network goes in, a smaller and faster one comes out, whatever happens."""

from __future__ import annotations

import hashlib
import json
from html import unescape
from pathlib import Path

import numpy as np
import onnxruntime

from client import Job, read_public_keys, verify_manifest
from tests.end_to_end import samples
from tests.end_to_end.deployments import Deployment
from tests.end_to_end.words import User


def test_a_network_goes_in_and_a_smaller_one_comes_out(user: User, finished: Job, tmp_path: Path) -> None:
    assert finished.state == "succeeded", finished.raw["error"]
    assert finished.outcome in {"target_met", "no_gain"}  # a busy machine may not be able to tell a small gain
    artifact = next(found for found in user.client.artifacts(finished.id) if found.role == "model")
    delivered = user.client.download(artifact, tmp_path / "pruned.onnx").read_bytes()
    report = user.client.report(finished.id)
    assert report["sha256"] == artifact.sha256 == hashlib.sha256(delivered).hexdigest()
    cut = [unit["name"] for unit in report["units"] if unit["decision"] == "cut"]
    if finished.outcome == "target_met":
        assert len(cut) == 2
        assert report["latency"]["ratio"]["high"] < 1
        assert len(delivered) == report["delivered"]["size_bytes"] < report["original"]["size_bytes"]
    assert run(delivered).shape == run(samples.residual_network()).shape == (3, 10)


def test_the_history_of_a_job_has_no_gap_and_its_fraction_never_falls(user: User, finished: Job) -> None:
    events = user.client.events(finished.id)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    fractions = [event["data"]["fraction"] for event in events if event["type"] == "job.progress"]
    assert fractions == sorted(fractions)
    assert finished.raw["finished_at"] >= finished.raw["running_at"] >= finished.raw["submitted_at"]


def test_a_job_tells_how_it_came_about_and_vouches_for_its_files(user: User, finished: Job, tmp_path: Path) -> None:
    artifact = next(found for found in user.client.artifacts(finished.id) if found.role == "model")
    files = [user.client.download(artifact, tmp_path / "pruned.onnx"), user.folder / "network.onnx"]
    keys = read_public_keys(json.dumps(user.client.signing_keys()))

    found = verify_manifest(user.client.manifest(finished.id), keys, files)

    assert [match.name for match in found.files] == ["model.onnx", "network.onnx"]
    assert found.manifest["environment"] == user.client.report(finished.id)["environment"]
    assert [stage["fraction"] for stage in finished.raw["stages"]] == [1.0] * len(finished.raw["stages"])
    assert len(finished.raw["stages"]) > 5  # those of less than a beat are told too
    assert user.client.report(finished.id)["summary"] in unescape(user.client.report_page(finished.id))
    assert "job.state    succeeded" in user.client.log(finished.id)


def test_a_job_without_images_says_what_it_did_not_measure(user: User) -> None:
    job = user.wait(user.client.submit(user.model_id, None, {"target": {"units": 1}, "budget_seconds": 10}))

    assert job.state == "succeeded", job.raw["error"]
    report = user.client.report(job.id)
    assert report["data"]["source"] == "procedural"
    assert report["data"]["rung"] == 1
    assert report["fidelity"] is None or report["fidelity"]["accuracy"] is None


def test_a_running_job_can_be_held_and_go_on_and_be_cancelled(user: User) -> None:
    job = user.wait_until(user.submit(budget_seconds=300, seed=2), "running")

    user.client.pause(job.id)
    held = user.wait_until(job, "paused")
    user.client.resume(job.id)
    again = user.wait_until(job, "running")
    user.client.cancel(job.id)

    assert held.state == "paused"
    assert again.attempt == held.attempt + 1
    assert again.fraction >= held.fraction
    assert user.wait(job).state == "cancelled"


def test_a_job_outlives_its_worker_and_the_web_process_that_took_it(user: User, deployment: Deployment) -> None:
    """The one is killed, the other made anew in good order; whoever follows the job sees nothing of either."""
    job = user.wait_until(user.submit(seed=3), "running")

    deployment.kill_worker()
    deployment.renew_web()

    job = user.wait(job)
    assert job.state == "succeeded", job.raw["error"]
    assert job.attempt > 2  # one look at the model, one that was killed, one that finished


def run(model: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"image": np.ones((3, 1, samples.SIDE, samples.SIDE), np.float32)})[0]
    return found
