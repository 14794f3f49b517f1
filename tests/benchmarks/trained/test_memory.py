"""A run that was stopped goes on: rows are found by case, engine and network, and by nothing less."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.depth.cases import Case
from benchmarks.trained.memory import Memory, a_commit, engine_tree

CASE = Case("cifar10-resnet20", "job", 50, 0.7, 0, 8, 1, 2, 285.0)


def test_a_finished_case_is_found_again(tmp_path: Path) -> None:
    kept = Memory(tmp_path / "new" / "rows.jsonl", "abc").keep(CASE, "net", {"points": -1.0, "case_seconds": 30.0})

    found = Memory(tmp_path / "new" / "rows.jsonl", "abc").find(CASE, "net")

    assert found == kept
    assert found is not None
    assert found["points"] == -1.0


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"kind": "foreign"}, {"images": 500}, {"latency_ratio": 0.8}, {"cores": 1}, {"budget_seconds": 1.0}],
)
def test_another_case_is_not_found(tmp_path: Path, change: dict[str, object]) -> None:
    memory = Memory(tmp_path / "rows.jsonl", "abc")
    memory.keep(CASE, "net", {"case_seconds": 30.0})

    assert memory.find(CASE, "net") is not None
    assert memory.find(replace(CASE, **change), "net") is None  # type: ignore[arg-type]  # one field of several types


def test_another_engine_or_network_finds_nothing(tmp_path: Path) -> None:
    Memory(tmp_path / "rows.jsonl", "abc").keep(CASE, "net", {"case_seconds": 30.0})

    assert Memory(tmp_path / "rows.jsonl", "def").find(CASE, "net") is None
    assert Memory(tmp_path / "rows.jsonl", "abc").find(CASE, "other") is None


def test_all_of_an_engine_on_some_networks_is_one_row_a_case_its_last(tmp_path: Path) -> None:
    """Whichever cores and time it had: what was run again counts once."""
    memory = Memory(tmp_path / "rows.jsonl", "abc")
    memory.keep(CASE, "net", {"points": -1.0})
    memory.keep(replace(CASE, cores=1, budget_seconds=9.0), "net", {"points": -2.0})
    memory.keep(replace(CASE, seed=5), "net", {"points": -3.0})
    memory.keep(CASE, "other", {"points": -4.0})
    Memory(tmp_path / "rows.jsonl", "def").keep(CASE, "net", {"points": -5.0})

    found = Memory(tmp_path / "rows.jsonl", "abc").of_networks(["net"])

    assert [row["points"] for row in found] == [-2.0, -3.0]


def test_of_an_engine_that_nothing_is_remembered_of_no_table_is_made(tmp_path: Path) -> None:
    Memory(tmp_path / "rows.jsonl", "abc").keep(CASE, "net", {"points": -1.0})

    for engine, network in (("def", "net"), ("abc", "other")):
        with pytest.raises(SystemExit, match=engine):
            Memory(tmp_path / "rows.jsonl", engine).of_networks([network])


def test_a_commit_is_called_by_its_own_name_and_a_wrong_one_is_refused() -> None:
    assert engine_tree(a_commit("HEAD")) == engine_tree("HEAD")
    with pytest.raises(ArgumentTypeError, match="'nonsense' is no commit"):
        a_commit("nonsense")


def test_uncommitted_code_leaves_no_memory(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "rows.jsonl", "abc+")
    memory.keep(CASE, "net", {"case_seconds": 30.0})

    assert not list(tmp_path.iterdir())
    assert memory.find(CASE, "net") is None


def test_the_time_of_a_case_is_that_of_its_like_by_any_engine(tmp_path: Path) -> None:
    Memory(tmp_path / "rows.jsonl", "old").keep(CASE, "net", {"case_seconds": 30.0})
    memory = Memory(tmp_path / "rows.jsonl", "new")
    memory.keep(replace(CASE, seed=1), "net", {"case_seconds": 50.0})

    assert memory.seconds(replace(CASE, latency_ratio=0.5)) == 40.0
    assert memory.seconds(replace(CASE, cores=1)) is None
