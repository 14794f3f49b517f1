"""A whole front over HTTP: from one job to a folder of networks, each with the figures that its list promises."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
from rich.console import Console

from client.compress import collect
from client.progress import Lines
from tests.end_to_end.test_main_job import run
from tests.end_to_end.words import User


@pytest.mark.parametrize("deployment", ["embedded"], indirect=True)
def test_a_front_goes_from_one_job_into_a_folder(user: User, tmp_path: Path) -> None:
    """A busy machine may not be able to tell a small gain: then the folder holds the original and says so."""
    job = user.submit(target={"pareto": 2}, outputs=["int8"], budget_seconds=10)

    delivery = collect(user.client, job.id, tmp_path / "front", Lines(Console(stderr=True)))

    report = delivery.report
    assert delivery.job.is_front
    assert delivery.job.outcome == report["outcome"]
    assert [one.raw["name"] for one in delivery.front] == [one["file"] for one in report["candidates"]]
    assert (delivery.job.outcome == "no_gain") == (not delivery.front)
    ratios = [one.latency_ratio for one in delivery.front]
    assert ratios == sorted(ratios, reverse=True)
    assert all(one.raw["latency_ratio"]["high"] < 1 for one in delivery.front)
    roles = [artifact.role for artifact in user.client.artifacts(job.id)]
    assert roles.count("candidate") == len(delivery.front)
    for number, one in enumerate(delivery.front, start=1):
        network = (delivery.model.parent / "candidates" / f"{number:02}.onnx").read_bytes()
        assert len(network) == one.raw["size_bytes"]
        assert run(network).shape == (3, 10)
    (whole,) = report["outputs"]
    assert [path.name for path in delivery.outputs] == ["model.int8.onnx"]
    assert hashlib.sha256(delivery.outputs[0].read_bytes()).hexdigest() == whole["sha256"]
    assert run(delivery.outputs[0].read_bytes()).shape == (3, 10)
    onnx.checker.check_model(delivery.model.read_bytes())
    if delivery.front:
        assert ElementTree.parse(delivery.model.parent / "front.svg").getroot().tag.endswith("svg")
