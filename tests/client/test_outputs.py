"""Further files of a model as the command meets them: asked for by name, written beside the model, told in a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client import samples
from tests.client.fake_service import FakeService
from tests.client.test_cli import a_finished_job, files, run
from tests.client.test_fronts import a_finished_front

__all__ = ["files"]  # the fixture

RATIO = {"value": 0.511, "low": 0.502, "high": 0.522}
INT8 = {
    "kind": "int8",
    "file": "outputs/int8.onnx",
    "how": "weights of 7 bits",
    "latency": samples.report()["latency"] | {"ratio": RATIO},
    "ratio_to_fp32": {"value": 1.03, "low": 1.01, "high": 1.05},
    "fidelity": {"images": 9, "agreement": {"value": 0.875, "low": 0.7, "high": 0.95}, "outputs": []},
    "size_bytes": 2048,
    "notes": ["It is slower than model.onnx here\x1b[2J."],
}


def with_outputs(service: FakeService) -> None:
    service.reports["job_1"] |= {"outputs": [INT8]}
    service.files |= {"outputs/int8.onnx": b"in 8 bits", "outputs/evil.onnx": b"?", "../../fp16.onnx": b"?"}
    service.roles |= {"outputs/int8.onnx": "output", "outputs/evil.onnx": "output", "../../fp16.onnx": "output"}


def test_further_files_are_asked_for_written_beside_the_model_and_told(service: FakeService, files: Path) -> None:
    a_finished_job(service)
    with_outputs(service)

    result = run("compress", "model.onnx", "--outputs", "fp16, int8", "-o", "small.onnx")

    assert result.exit_code == 0, result.output
    assert service.submitted[0]["recipe"] == {"outputs": ["fp16", "int8"]}
    assert (files / "small.int8.onnx").read_bytes() == b"in 8 bits"
    assert {path.name for path in files.rglob("*.onnx")} == {"model.onnx", "small.onnx", "small.int8.onnx"}
    assert not list(files.parent.glob("**/fp16.onnx"))  # a name of the server's never chooses a place on the disk
    for said in ("0.511", "1.010 to 1.050", "0.875", "int8: weights of 7 bits", "slower than model.onnx here"):
        assert said in result.stdout
    assert "\x1b[2J" not in result.stdout


@pytest.mark.parametrize("as_front", [False, True])
def test_programs_are_told_where_further_files_are(service: FakeService, files: Path, *, as_front: bool) -> None:
    if as_front:
        a_finished_front(service)
    else:
        a_finished_job(service)
    with_outputs(service)

    answer = json.loads(run("download", "job_1", "--json", "-o", "out").stdout)

    assert answer["outputs"] == ["out/model.int8.onnx" if as_front else "out.int8.onnx"]
    assert (files / answer["outputs"][0]).read_bytes() == b"in 8 bits"


def test_what_each_output_of_the_network_still_says_is_in_the_table(service: FakeService, files: Path) -> None:
    a_finished_job(service)
    outputs = [
        {"output": "boxes", "relative_error": 0.0712, "cosine": 0.9971, "cosine_95": {"low": 0.991, "high": 0.999}},
        {"output": "labels", "relative_error": None, "cosine": None, "incomparable_images": 4},
        {"output": "mask", "relative_error": 0.2, "cosine": 0.9, "match": 0.9632},
    ]
    service.reports["job_1"] |= {"fidelity": {"images": 9, "agreement": None, "accuracy": None, "outputs": outputs}}

    shown = run("download", "job_1", "-o", "small.onnx").stdout

    for said in ("boxes: relative error", "0.0712", "0.991 to 0.999", "mask: equal values", "0.9632", "another shape"):
        assert said in " ".join(shown.split())
    assert "unmeasured" not in shown
