"""A network whose heads are of low rank loses what they do not need, end to end, with images and with none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.check import relative_error
from engine.compress import compress
from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.heads import find_heads
from engine.planning import rotations
from engine.progress import Progress
from engine.recipe import Recipe
from engine.report import Outcome
from tests.engine.graph.heads.attentions import Spec, network
from tests.engine.test_every_method import clocks, narrowed
from tests.engine.test_every_method import run as run_job
from tests.networks import images

__all__ = ["clocks"]  # a fixture: time is work here

LOW = Spec(layout="five", heads=2, keys=2, size=16, rank=8)
APART = Spec(layout="apart", heads=2, keys=2, size=16, rank=8)


@pytest.mark.parametrize(
    ("spec", "method", "shown"),
    [
        (LOW, "auto", True),
        (APART, "auto", False),
        (LOW, "channel_regression", False),
        (APART, "channel_regression", True),
    ],
    ids=["packed", "apart, no image", "packed, channels alone, no image", "apart, channels alone"],
)
def test_the_cut_is_found_and_harmless(spec: Spec, method: str, shown: bool, tmp_path: Path) -> None:
    """Heads of rank eight, of sixteen numbers. A packed matrix narrows queries, keys and values at once."""
    model = network(spec)
    (tmp_path / "model.onnx").write_bytes(model.to_bytes())
    np.save(tmp_path / "images.npy", next(iter(images(model, batch=30).values())))

    delivery = run_job(
        tmp_path / "model.onnx",
        tmp_path / "images.npy" if shown else None,
        method={"name": method},
        target={"latency_ratio": 0.7},
    )

    groups = find_heads(model, find_groups(model).groups).heads
    report = delivery.report
    assert report.outcome is Outcome.TARGET_MET
    assert set(narrowed(report).values()) == {8}
    assert set(narrowed(report)) <= set(groups)
    assert not [unit for unit in report.units if unit.decision == "cut"]
    assert report.recovery.error_final < 1e-4
    feed = images(model, batch=5, seed=9)
    found, wanted = (run(open_session(each), feed)[model.outputs[0].name] for each in (delivery.model, model))
    assert relative_error(found, wanted) < 5e-3


def test_a_second_attempt_goes_on_in_the_basis_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found anew may differ by a rounding, and then by the sign of whole numbers."""
    (tmp_path / "model.onnx").write_bytes(network(LOW).to_bytes())
    recipe = Recipe.model_validate({"budget_seconds": 60, "target": {"latency_ratio": 0.7}})
    job = (tmp_path / "model.onnx", None, recipe, Progress(), tmp_path / "checkpoint")
    first = compress(*job)
    monkeypatch.setattr(rotations, "find_rotations", lambda *_: pytest.fail("it is known"))
    for figures in (tmp_path / "checkpoint").glob("1-figures*"):
        figures.unlink()  # the cut itself was not done

    again = compress(*job)

    assert narrowed(first.report)
    assert narrowed(again.report) == narrowed(first.report)


def test_a_method_that_rotates_no_heads_says_why_they_stay(tmp_path: Path) -> None:
    model = network(LOW)
    (tmp_path / "model.onnx").write_bytes(model.to_bytes())
    (group,) = find_heads(model, find_groups(model).groups).heads

    report = run_job(tmp_path / "model.onnx", None, method={"name": "thinet"}, target={"latency_ratio": 0.9}).report

    (line,) = [one for one in report.groups if one.name == group]
    assert line.kept == line.channels
    assert line.reason.endswith("(MatMul) sums over it and is no plain linear layer")
