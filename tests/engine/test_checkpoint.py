"""What an attempt leaves is found by the next one about the same, and by nobody else."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.checkpoint import Checkpoint

ABOUT = [b"a network", b"a recipe"]


def test_what_was_kept_is_found_by_the_same_part_of_the_same_job(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path, ABOUT).of("3")
    first.write_json("figures", {"error": 0.5})
    first.write_bytes("trained", b"weights")
    first.write_tensors("training", {"step": 2, "weights": torch.ones(2)})

    again = Checkpoint(tmp_path, ABOUT).of("3")

    assert again.read_json("figures") == {"error": 0.5}
    assert again.read_bytes("trained") == b"weights"
    assert (again.read_tensors("training") or {})["step"] == 2


def test_another_part_or_another_job_finds_nothing(tmp_path: Path) -> None:
    Checkpoint(tmp_path, ABOUT).of("3").write_json("figures", {"error": 0.5})

    others = [Checkpoint(tmp_path, ABOUT), Checkpoint(tmp_path, ABOUT).of("33"), Checkpoint(tmp_path, [b"x"]).of("3")]

    assert [other.read_json("figures") for other in others] == [None] * 3


def test_what_is_done_makes_room(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path, ABOUT)
    kept.write_tensors("training", {"step": 2})

    kept.forget_tensors("training")
    kept.forget_tensors("training")

    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_kept() -> None:
    nowhere = Checkpoint(None, ABOUT).of("1")

    nowhere.write_json("figures", {})
    nowhere.write_bytes("trained", b"weights")
    nowhere.forget_tensors("training")

    assert (nowhere.read_json("figures"), nowhere.read_bytes("trained")) == (None, None)
