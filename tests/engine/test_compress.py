"""The whole story on a tiny network: what is delivered is what the report says, and never a slower file.

One run at the prompt has the time that it asks for; every other takes a few steps and a few samples.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from PIL import Image

from engine import candidates, teaching
from engine import compress as story
from engine.__main__ import main
from engine.clock import Clock
from engine.compress import compress
from engine.data import ladder
from engine.errors import CalibrationMismatch, NothingToCut, TargetInfeasible
from engine.formats import load
from engine.planning import times
from engine.planning.times import measure_against_upload
from engine.progress import STAGES, Progress
from engine.recipe import Recipe
from engine.recovery.schedule import Schedule
from engine.report import Interval, LatencyComparison, Outcome, Report
from tests.control_flow import CONTROL_FLOW
from tests.networks import CHANNELS, NETWORKS, WITH_UNITS, Draft, blocks, images, stem

QUICK: dict[str, Any] = {"budget_seconds": 10, "deploy": {"batch": 2}, "target": {"units": 1}}


class HurriedClock(Clock):
    """Gives every measurement a twentieth of what it would have, and never runs out: a busy machine decides nothing."""

    def left(self) -> float:
        return super().left() + 600

    def part(self, share: float, at_most_seconds: float) -> float:
        return super().part(share / 20, at_most_seconds)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, short measurements and few drawn pictures, but all of the way."""
    monkeypatch.setattr(teaching, "schedule_for", lambda model: Schedule(steps=2, batch=8, evaluate_every=1))
    monkeypatch.setattr(story, "Clock", HurriedClock)
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", 24)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    path.write_bytes(NETWORKS["residual"][0]().to_bytes())
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 labelled pictures of 16 x 16, five classes."""
    path, generator = tmp_path_factory.mktemp("images") / "pictures.zip", np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(40):
            stream = BytesIO()
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(stream, "PNG")
            archive.writestr(f"{index % 5}/{index}.png", stream.getvalue())
    return path


def run(source: Path, images: Path | None, **changes: Any) -> tuple[bytes, Report]:
    recipe = Recipe.model_validate(QUICK | changes)
    model, report, *_ = compress(source, images, recipe, Progress())
    return model.to_bytes(), report


def engine(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


@dataclass(frozen=True)
class Finished:
    """One run at the prompt: what it wrote and what it said."""

    delivered: bytes
    report: Report
    lines: list[dict[str, Any]]
    exit_status: int
    imports: list[str]


@pytest.fixture(scope="module")
def finished(model_path: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("prompt")
    recipe, out = folder / "recipe.json", folder / "out"
    recipe.write_text(json.dumps(QUICK))
    profiled = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}  # each module that is loaded becomes a line of stderr

    done = engine("compress", model_path, "--calibration", pictures, "--recipe", recipe, "--out", out, env=profiled)

    return Finished(
        (out / "model.onnx").read_bytes(),
        Report.model_validate_json((out / "report.json").read_text()),
        [json.loads(line) for line in done.stdout.splitlines()],
        done.returncode,
        done.stderr.splitlines(),
    )


def test_what_is_delivered_is_what_the_report_says(finished: Finished) -> None:
    report = finished.report

    assert hashlib.sha256(finished.delivered).hexdigest() == report.sha256
    assert [unit.decision for unit in report.units].count("cut") == 1
    assert (report.data.rung, report.data.repair_images) == (0, 32)
    assert report.fidelity is not None
    assert report.fidelity.accuracy is not None
    assert report.fidelity.images == report.data.test_images == 4
    assert report.recovery is not None
    assert report.recovery.error_final <= report.recovery.error_closed_form
    assert report.delivered.macs < report.original.macs
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_at_the_prompt_everything_said_is_a_line_of_json(finished: Finished) -> None:
    progress = finished.lines[:-1]

    assert finished.exit_status == 0
    assert [line["event"] for line in finished.lines] == ["progress"] * len(progress) + ["done"]
    assert list(dict.fromkeys(line["stage"] for line in progress)) == list(STAGES)
    assert all(line.startswith("import time:") for line in finished.imports)


def test_no_job_loads_the_compiler_of_torch(finished: Finished) -> None:
    """It takes more than a second, and would be used for nothing."""
    loaded = {line.rpartition("|")[2].strip() for line in finished.imports}

    assert "torch" in loaded
    assert "torch._dynamo" not in loaded


def test_the_delivered_file_keeps_names_and_dynamic_batch(model_path: Path, finished: Finished) -> None:
    before, after = onnxruntime.InferenceSession(model_path), onnxruntime.InferenceSession(finished.delivered)

    for read in ("get_inputs", "get_outputs"):
        assert [(v.name, v.shape, v.type) for v in getattr(after, read)()] == [
            (v.name, v.shape, v.type) for v in getattr(before, read)()
        ]
    image = np.zeros((7, 3, 16, 16), np.float32)
    assert after.run(None, {before.get_inputs()[0].name: image})[0].shape[0] == 7


@pytest.mark.usefixtures("hurried")
def test_no_image_is_a_job_all_the_same_and_the_report_says_so(model_path: Path) -> None:
    _, report = run(model_path, None)

    assert (report.data.rung, report.data.source) == (1, "procedural")
    assert report.fidelity is None
    assert any("unmeasured" in warning for warning in report.warnings)


@pytest.mark.usefixtures("hurried")
def test_a_slower_result_is_not_delivered(model_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is the edge of the machine: here it says that the cut network is slower."""
    timed = measure_against_upload

    def slower(*arguments: Any, **options: Any) -> LatencyComparison:
        found = timed(*arguments, **options)
        return found.model_copy(update={"ratio": Interval(value=1.1, low=1.05, high=1.15)})

    monkeypatch.setattr(candidates, "measure_against_upload", slower)

    delivered, report = run(model_path, pictures)

    assert report.outcome is Outcome.NO_GAIN
    assert delivered == load(model_path).to_bytes()
    assert report.delivered == report.original
    assert [unit.decision for unit in report.units] == ["kept"] * 3


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("target", [{"latency_ratio": 0.95}, {"pareto": 2}])
def test_where_no_unit_surely_saves_time_the_job_says_no_gain(
    model_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, target: dict[str, float]
) -> None:
    unsure, alike = Interval(value=0.0, low=-0.05, high=0.05), Interval(value=1.0, low=0.98, high=1.02)

    def as_fast(*arguments: Any, **options: Any) -> LatencyComparison:
        return measure_against_upload(*arguments, **options).model_copy(update={"ratio": alike})

    monkeypatch.setattr(times, "latency_shares", lambda model, units, *_, **options: {u.name: unsure for u in units})
    monkeypatch.setattr(times, "measure_against_upload", as_fast)
    monkeypatch.setattr(candidates, "measure_against_upload", as_fast)

    delivered, report = run(model_path, pictures, target=target, method={"name": "practise"})

    assert report.outcome is Outcome.NO_GAIN
    assert "smaller than what could be told from noise" in report.summary
    assert delivered == model_path.read_bytes()
    assert {unit.decision for unit in report.units} == {"kept"}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", ["If", "Loop"])
def test_branches_and_loops_stay_and_blocks_around_them_go(tmp_path: Path, pictures: Path, name: str) -> None:
    (tmp_path / "model.onnx").write_bytes(CONTROL_FLOW[name]().to_bytes())

    delivered, report = run(tmp_path / "model.onnx", pictures)

    assert [unit.decision for unit in report.units].count("cut") == 1
    assert [node.rpartition("_")[2] for node in report.unruled] == [name]
    assert name in report.delivered.uncounted
    (scores,) = onnxruntime.InferenceSession(delivered).run(None, {"image": np.ones((3, 3, 16, 16), np.float32)})
    assert np.isfinite(scores).all()


@pytest.mark.usefixtures("hurried")
def test_a_network_without_units_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "dense.onnx"
    path.write_bytes(NETWORKS["dense"][0]().to_bytes())

    with pytest.raises(NothingToCut, match="no residual branch"):
        run(path, None)


@pytest.mark.usefixtures("hurried")
def test_more_units_than_there_are_is_refused(model_path: Path) -> None:
    with pytest.raises(TargetInfeasible, match='"units": 3'):
        run(model_path, None, target={"units": 9})


def test_pictures_of_another_size_are_refused(model_path: Path, pictures: Path) -> None:
    with pytest.raises(CalibrationMismatch):
        run(model_path, pictures, preprocess={"resize": 8, "crop": 8})


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("target", [{"macs_ratio": 0.8}, {"parameters_ratio": 0.8}, {"latency_ratio": 0.85}])
def test_every_currency_is_paid_in_full(model_path: Path, pictures: Path, target: dict[str, float]) -> None:
    """Whether that is faster is the clock's to say; what was cut covers the target either way."""
    _, report = run(model_path, pictures, target=target)

    assert report.predicted_latency_ratio is not None
    if report.outcome is Outcome.NO_GAIN:
        return
    assert report.delivered.macs <= target.get("macs_ratio", 1.0) * report.original.macs
    assert report.delivered.parameters <= target.get("parameters_ratio", 1.0) * report.original.parameters
    assert report.delivered.macs < report.original.macs


def form(name: str) -> dict[str, Any]:
    """What a recipe must say for a network's own form."""
    model = NETWORKS[name][0]()
    batch = model.inputs[0].shape[0]
    layout = {"preprocess": {"layout": "NHWC"}} if model.inputs[0].shape[-1] in (1, 3) else {}
    return {"deploy": {"batch": batch if isinstance(batch, int) else 2}, "budget_seconds": 10, **layout}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("name", "count"), [*zip(WITH_UNITS, cycle([5, 0, 1])), ("residual", 1), ("transformer", 0), ("plain", 5)]
)
def test_every_form_of_network_goes_all_the_way(name: str, count: int, tmp_path: Path) -> None:
    """Fixed batch, channels last, grey, several outputs, nested, old opset; no sum but three layers that could go."""
    model, path, shown = NETWORKS[name][0](), tmp_path / "model.onnx", tmp_path / "images.npy"
    path.write_bytes(model.to_bytes())
    np.save(shown, next(iter(images(model, batch=max(count, 1)).values())))

    delivered, report = run(path, shown if count else None, **form(name))

    assert (report.fidelity is not None) == (count >= 2)
    assert report.data.test_images == int(count >= 2)
    after = onnxruntime.InferenceSession(delivered)
    assert [value.name for value in after.get_outputs()] == [info.name for info in model.outputs]
    assert len(report.units) == (NETWORKS[name][1] or 3)
    assert any("opset" in warning for warning in report.warnings) == (model.opset < 18)


@pytest.mark.usefixtures("hurried")
def test_an_operator_that_no_rule_knows_is_named_and_stops_nobody(tmp_path: Path) -> None:
    draft = Draft()
    x = blocks(draft, stem(draft), 2)
    determinants = draft.node("Det", x)
    path = tmp_path / "model.onnx"
    path.write_bytes(
        draft.model(draft.classify(x), also={determinants: (TensorProto.FLOAT, ("batch", CHANNELS))}).to_bytes()
    )

    _, report = run(path, None)

    assert report.unruled == (draft.nodes[-4].name,)
    assert report.unruled[0].endswith("Det")


@pytest.mark.usefixtures("hurried")
def test_a_recipe_keeps_what_it_names(model_path: Path, pictures: Path) -> None:
    _, report = run(model_path, pictures)
    cut = [unit.name for unit in report.units if unit.decision == "cut"]

    _, again = run(model_path, pictures, method={"name": "practise", "keep": cut})

    assert {unit.reason for unit in again.units if unit.name in cut} <= {"the recipe keeps it"}


@pytest.mark.usefixtures("hurried")
def test_a_floor_that_is_missed_is_no_success(model_path: Path, pictures: Path) -> None:
    """Random weights and four test images: no cut agrees with every one of them less than never."""
    _, report = run(model_path, pictures, target={"units": 3, "min_agreement": 1.0})

    assert report.fidelity is not None
    assert report.fidelity.agreement is not None
    met = report.outcome is Outcome.TARGET_MET
    assert not met or report.fidelity.agreement.value == 1.0


@pytest.mark.usefixtures("hurried")
def test_a_second_attempt_takes_the_plan_of_the_first(
    model_path: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.model_validate(QUICK)
    first = compress(model_path, pictures, recipe, Progress(), tmp_path / "kept").report
    monkeypatch.setattr(times, "latency_shares", None)  # a second measurement would fail

    again = compress(model_path, pictures, recipe, Progress(), tmp_path / "kept").report

    assert [unit.recoverability for unit in again.units] == [unit.recoverability for unit in first.units]
    assert [unit.latency_share for unit in again.units] == [unit.latency_share for unit in first.units]
    assert again.predicted_latency_ratio == first.predicted_latency_ratio


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The command line takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("own_signals")
def test_a_refusal_is_one_line_and_exit_status_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_text("this is no network")

    status = main(["compress", str(tmp_path / "model.onnx"), "--out", str(tmp_path / "out")])

    assert status == 1
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert said[-1]["error"]["code"] == "model-unreadable"
    assert not (tmp_path / "out").exists()


def test_a_wrong_command_prints_what_there_is() -> None:
    done = engine("prune")

    assert done.returncode == 2
    assert "compress" in done.stderr


def test_sigterm_stops_the_engine(model_path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine", "compress", str(model_path), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()

        child.send_signal(signal.SIGTERM)

        assert child.wait(timeout=60) == 143
