"""From a case to its recipe, and from the names of units to the plain drop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.depth.cases import Case
from benchmarks.depth.plain import plain_drop
from benchmarks.depth.run import Task, recipe_of, run
from engine.execution.runtime import open_session
from engine.execution.runtime import run as run_in_runtime
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import find_units
from tests.networks import images, nested, residual

CASE = Case("cifar10-resnet20", "recovered", 0, 0.7, 3, 8, 1, 2, 285.0)


def test_a_case_becomes_what_a_user_would_write() -> None:
    recipe = recipe_of(replace(CASE, kind="job"))

    assert recipe.model_dump()["target"]["latency_ratio"] == 0.7
    assert (recipe.seed, recipe.budget_seconds, recipe.deploy.batch) == (3, 285.0, 8)


@pytest.mark.parametrize(("kind", "method"), [("job", "auto"), ("units", "practise"), ("recovered", "practise")])
def test_only_jobs_of_whole_units_leave_channels_alone(kind: str, method: str) -> None:
    assert recipe_of(replace(CASE, kind=kind)).method.name == method


def test_foreign_pictures_are_brought_to_the_networks_size() -> None:
    assert recipe_of(replace(CASE, kind="foreign")).preprocess.crop == 32
    assert recipe_of(replace(CASE, kind="imbalanced")).preprocess.crop is None


def test_what_starts_from_a_job_that_was_refused_says_so() -> None:
    row = run(Task(CASE, Path("net.onnx"), Path("data"), {"error": "no such ratio"}))

    assert "no such ratio" in row["error"]


def test_a_plain_drop_leaves_out_the_units_of_these_names() -> None:
    model = residual()
    units = find_units(merge(fold(normalise(model))))[1:]
    feed = images(model)

    found = plain_drop(model, [unit.name for unit in units])

    expected = run_in_runtime(open_session(remove_units(merge(fold(normalise(model))), units)), feed)
    for name, output in run_in_runtime(open_session(found), feed).items():
        np.testing.assert_allclose(output, expected[name], rtol=1e-4, atol=1e-5)


def test_a_plain_drop_of_a_stranger_is_refused() -> None:
    with pytest.raises(ValueError, match="only 0 were found"):
        plain_drop(nested(), ["no such unit"])
