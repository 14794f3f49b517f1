"""What is run, and in which order: a case never comes before the one that it starts from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.channels import schedule
from benchmarks.channels.cases import KINDS, PEERS, Case, Grid, cases, parent
from benchmarks.channels.job import ended_row, file_for, recipe_of
from benchmarks.channels.run import RUNNERS, Task, run
from benchmarks.trained.child import Ended
from benchmarks.trained.memory import Memory, Row
from engine.recipe import METHODS

GRID = Grid(["vgg-like", "cifar10-resnet20"], list(KINDS), list(METHODS), [0, 1])
CASE = GRID.case("vgg-like", "methods", "l1", 3)


def test_every_kind_has_what_runs_it() -> None:
    assert RUNNERS.keys() == KINDS.keys() == {case.kind for case in cases(GRID)}


def test_methods_are_those_of_the_engine_on_every_network_and_seed() -> None:
    found = [(case.model, case.what, case.seed) for case in cases(GRID) if case.kind == "methods"]

    assert len(found) == len(set(found)) == 2 * len(METHODS) * 2


def test_parents_come_first_and_each_case_once() -> None:
    asked = cases(replace(GRID, kinds=["widths", "peers"]))

    assert len(asked) == len(set(asked)) == 2 * 2 * (1 + len(PEERS) + 1)
    for place, case in enumerate(asked):
        first = parent(case)
        assert first is None or first in asked[:place]


def test_a_case_becomes_what_a_user_would_write() -> None:
    recipe = recipe_of(CASE, {})

    assert recipe.model_dump()["target"]["latency_ratio"] == 0.67
    assert (recipe.method.name, recipe.seed, recipe.deploy.batch, recipe.controls) == ("l1", 3, 8, ())
    assert recipe_of(replace(CASE, kind="scratch", what="auto"), {}).controls == ("scratch_e", "scratch_b")


def test_a_peer_is_asked_for_what_ours_measured() -> None:
    recipe = recipe_of(replace(CASE, kind="peers", what="onnxsim"), {}, 0.61)

    assert recipe.model_dump()["target"]["latency_ratio"] == 0.61


def test_a_method_that_ranks_by_norms_gets_the_file_that_has_them(tmp_path: Path) -> None:
    folded, with_norms = tmp_path / "net.onnx", tmp_path / "net-bn.onnx"
    assert file_for(replace(CASE, what="slimming"), folded) == folded

    with_norms.touch()

    assert file_for(replace(CASE, what="slimming"), folded) == with_norms
    assert file_for(replace(CASE, what="l1"), folded) == folded
    assert file_for(replace(CASE, what="onnxsim"), folded) == folded


def test_what_starts_from_a_job_that_was_refused_says_so() -> None:
    row = run(Task(replace(CASE, kind="peers", what="onnxsim"), Path("n"), Path("d"), {"error": "no such ratio"}))

    assert "no such ratio" in row["error"]


def test_a_refusal_of_the_engine_is_told_by_its_message() -> None:
    said = json.dumps({"event": "error", "error": {"message": "No batch norm is left.", "code": "nothing-to-cut"}})

    assert ended_row(Ended(1.0, 1.0, said))["error"] == "No batch norm is left."
    assert ended_row(Ended(1.0, 1.0, "Killed"))["error"] == "Killed"
    assert ended_row(Ended(1.0, 1.0, None))["error"] is None


def test_a_stopped_run_goes_on_and_hands_each_case_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "engine_tree", lambda: "abc")
    asked = cases(replace(GRID, kinds=["widths"]))
    files = {model: (tmp_path / model, model) for model in GRID.models}
    ran: list[Case] = []

    def runs(task: Task) -> Row:
        first = parent(task.case)
        assert first is None or (task.parent is not None and task.parent["what"] == first.what)
        ran.append(task.case)
        return {"error": None, "case_seconds": 1.0}

    for _ in range(2):
        memory = Memory(tmp_path / "rows.jsonl", "abc")
        rows = list(schedule.run_all(asked, files, tmp_path, memory, runs))

    assert ran == asked
    assert [row["kind"] for row in rows] == [case.kind for case in asked]
