"""Which files of the engine's are published: those that we agreed on, and never one that a report merely names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worker.fake_engine import CANDIDATE
from worker.deliveries import expected
from worker.files import AgreementBroken


def front_of(*files: object) -> dict[str, Any]:
    return {"outcome": "target_met", "candidates": [{**CANDIDATE, "file": file} for file in files]}


def test_a_job_without_a_front_leaves_two_files() -> None:
    assert [file.name for file in expected({"outcome": "no_gain"})] == ["model.onnx", "report.json"]


def test_a_front_leaves_each_network_and_a_picture() -> None:
    found = {file.name: file.role for file in expected(front_of("candidates/01.onnx", "candidates/16.onnx"))}

    assert list(found.values()) == ["model", "report", "candidate", "candidate", "plot"]
    assert found["candidates/16.onnx"] == "candidate"


@pytest.mark.parametrize(
    "files",
    [
        ("../../../etc/hostname",),
        ("/etc/hostname",),
        ("candidates/../report.json",),
        ("candidates/01.onnx\n",),
        ("candidates/001.onnx",),
        ("model.onnx",),
        ("candidates/01.onnx", "candidates/01.onnx"),
        (1,),
    ],
)
def test_another_name_breaks_the_agreement(files: tuple[object, ...]) -> None:
    with pytest.raises(AgreementBroken):
        list(expected(front_of(*files)))


@pytest.mark.parametrize("candidates", [["candidates/01.onnx"], 7, {"a": 1}, [{}]])
def test_candidates_of_another_shape_break_the_agreement(candidates: object) -> None:
    with pytest.raises(AgreementBroken):
        list(expected({"outcome": "target_met", "candidates": candidates}))
