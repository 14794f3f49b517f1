"""Which files of the engine's are published: those that we agreed on, and never one that a report merely names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worker.fake_engine import CANDIDATE, TIMED
from worker.deliveries import expected
from worker.files import AgreementBroken


def front_of(*files: object) -> dict[str, Any]:
    return {"outcome": "target_met", "candidates": [{**CANDIDATE, "file": file} for file in files]}


RATIO = {"value": 0.8, "low": 0.7, "high": 0.9}
OUTPUT = {
    "kind": "int8",
    "how": "in 8 bits",
    "latency": {"original": TIMED, "delivered": TIMED, "ratio": RATIO},
    "ratio_to_fp32": RATIO,
    "fidelity": None,
    "size_bytes": 1,
    "sha256": "00",
}


def test_further_files_of_the_model_are_published_beside_it() -> None:
    report = {"outputs": [{**OUTPUT, "file": f"outputs/{kind}.onnx"} for kind in ("fp16", "int8")]}

    found = {file.name: file.role for file in expected(report)}

    assert found == {
        "model.onnx": "model",
        "report.json": "report",
        "outputs/fp16.onnx": "output",
        "outputs/int8.onnx": "output",
    }


@pytest.mark.parametrize(
    "outputs",
    [
        [{**OUTPUT, "file": "outputs/../model.onnx"}],
        [{**OUTPUT, "file": "outputs/int4.onnx"}],
        [{**OUTPUT, "file": "candidates/01.onnx"}],
        [{**OUTPUT, "file": "outputs/int8.onnx"}] * 2,
        [{"file": "outputs/int8.onnx"}],
        ["outputs/int8.onnx"],
        7,
    ],
)
def test_further_files_of_another_name_or_shape_break_the_agreement(outputs: object) -> None:
    with pytest.raises(AgreementBroken):
        list(expected({"outputs": outputs}))


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
