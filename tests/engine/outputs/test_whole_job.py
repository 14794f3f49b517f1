"""A job that asks for further files: what is written is what the report says, and a file that fails fails no job."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engine import compress as story
from engine import teaching
from engine.commands.compress import write
from engine.compress import compress
from engine.outputs import Kind, making
from engine.outputs.apart import convert_apart
from engine.outputs.converted import Converted
from engine.progress import Progress, Update
from engine.recipe import Recipe
from engine.recovery.schedule import Schedule
from engine.report import Report
from tests.engine.test_compress import HurriedClock
from tests.networks import NETWORKS, images

ASKED: dict[str, Any] = {
    "budget_seconds": 10,
    "deploy": {"batch": 2},
    "method": {"name": "practise"},
    "target": {"units": 1},
    "outputs": ["fp16", "int8"],
}


def test_what_is_written_is_what_the_report_says_and_what_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: Kind, *arguments: Any) -> Converted:
        if kind == "fp16":
            raise RuntimeError("no half of this")
        return convert_apart(kind, *arguments)

    monkeypatch.setattr(teaching, "schedule_for", lambda model: Schedule(steps=2, batch=8, evaluate_every=1))
    monkeypatch.setattr(story, "Clock", HurriedClock)
    monkeypatch.setattr(making, "convert_apart", refuse)
    network, told = NETWORKS["residual"][0](), list[Update]()
    (tmp_path / "model.onnx").write_bytes(network.to_bytes())
    np.save(tmp_path / "images.npy", next(iter(images(network, batch=24).values())))

    recipe = Recipe.model_validate(ASKED)
    delivery = compress(tmp_path / "model.onnx", tmp_path / "images.npy", recipe, Progress(told.append))
    write(delivery, tmp_path / "out")

    report = Report.model_validate_json((tmp_path / "out/report.json").read_text())
    (file,), (missing,) = report.outputs, report.missing_outputs
    content = (tmp_path / "out" / file.file).read_bytes()
    assert (file.kind, hashlib.sha256(content).hexdigest()) == ("int8", file.sha256)
    assert (missing.kind, "no half of this" in missing.reason) == ("fp16", True)
    assert any(warning.startswith("There is no fp16 file.") for warning in report.warnings)
    assert told[-1].stage == report.stages[-1].name == "outputs"
    assert told[-1].fraction == 1
    (scores,) = onnxruntime.InferenceSession(content).run(None, {"image": np.ones((3, 3, 16, 16), np.float32)})
    assert np.isfinite(scores).all()
