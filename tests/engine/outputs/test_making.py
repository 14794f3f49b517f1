"""Each further file is checked, timed and told; one that fails is told with its reason, and the job goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import outputs
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.outputs import Kind, Output, making
from engine.outputs.converted import Converted
from engine.outputs.making import Outputs, expect_outputs, make_outputs
from engine.outputs.notes import on_gain, on_images
from engine.progress import Progress, Update
from engine.recipe import Deploy
from engine.report import DataUse, Interval
from engine.subject import Subject
from tests.engine.outputs.subjects import subject_of
from tests.networks import NETWORKS


class HurriedClock(Clock):
    """Gives every measurement a hundredth of what it would have."""

    def part(self, share: float, at_most_seconds: float) -> float:
        return super().part(share / 100, at_most_seconds)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each file takes a second; that it makes the same is a test of its own."""

    def convert(kind: Kind, source: Model, images: ImageSet, deploy: Deploy) -> Converted:
        return outputs.OUTPUTS[kind].convert(source, images, deploy)

    monkeypatch.setattr(making, "convert_apart", convert)


@pytest.fixture
def subject() -> Subject:
    return subject_of(NETWORKS["residual"][0]())


def made(subject: Subject, delivered: Model | None = None, kept: Path | None = None) -> Outputs:
    clock, progress = HurriedClock(10), Progress()
    expect_outputs(subject, progress, clock)
    network = subject.upload if delivered is None else delivered
    return make_outputs(subject, network, clock, progress, Checkpoint(kept, [b"the job"]))


def replace(monkeypatch: pytest.MonkeyPatch, kind: Kind, convert: Any) -> None:
    monkeypatch.setitem(outputs.OUTPUTS, kind, Output(convert, outputs.OUTPUTS[kind].reads_images))


def test_a_file_is_what_the_report_says(subject: Subject) -> None:
    found = made(subject, subject.model)

    assert [one.kind for one in found.files] == ["fp16", "int8"]
    assert found.missing == ()
    for one in found.files:
        content = found.models[one.file].to_bytes()
        assert (one.size_bytes, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        for ratio in (one.latency.ratio, one.ratio_to_fp32):
            assert 0 < ratio.low <= ratio.value <= ratio.high
        assert one.fidelity is not None
        assert one.fidelity.images == len(subject.split.test)
        assert one.fidelity.outputs[0].cosine is not None
        assert one.fidelity.outputs[0].cosine > 0.99
    assert "Its ranges are those of 18 images of the repair." in found.files[1].notes
    assert not any("ranges" in note for note in found.files[0].notes)


def test_the_same_network_and_images_make_the_same_files(subject: Subject) -> None:
    first, second = made(subject), made(subject_of(NETWORKS["residual"][0]()))

    assert [one.sha256 for one in first.files] == [one.sha256 for one in second.files]


@pytest.mark.parametrize("asked", [["fp32"], ["int8"], ["int8", "fp16", "fp32"]])
def test_only_what_is_asked_for_is_made(asked: list[str]) -> None:
    subject = subject_of(NETWORKS["residual"][0](), outputs=asked)

    assert {one.kind for one in made(subject).files} == set(asked) - {"fp32"}


def infinite(source: Model, _images: ImageSet, _deploy: Deploy) -> Converted:
    broken = source.copy()
    name = next(iter(broken.graph.initializers))
    broken.set_weight(name, np.full_like(broken.weight(name), np.inf))
    return Converted(broken, "in no numbers")


def renamed(source: Model, _images: ImageSet, _deploy: Deploy) -> Converted:
    other = source.copy()
    other.graph.outputs[0].name = "another_name"
    return Converted(other, "under another name")


def invalid(source: Model, _images: ImageSet, _deploy: Deploy) -> Converted:
    other = source.copy()
    next(iter(other.graph)).op_type = "NoSuchOperator"
    return Converted(other, "by an operator that there is not")


def clueless(source: Model, _images: ImageSet, _deploy: Deploy) -> Converted:
    raise KeyError("this operator\nand a long trace")


@pytest.mark.parametrize(
    ("convert", "said"),
    [
        (infinite, "not finite"),
        (renamed, "no longer those of the upload"),
        (invalid, "no longer valid ONNX"),
        (clueless, "could not convert the network: KeyError: 'this operator"),
    ],
)
def test_what_fails_is_told_and_the_other_file_is_made(
    convert: Any, said: str, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(monkeypatch, "int8", convert)

    found = made(subject)

    assert [one.kind for one in found.files] == ["fp16"]
    assert list(found.models) == ["outputs/fp16.onnx"]
    (missing,) = found.missing
    assert missing.kind == "int8"
    assert said in missing.reason
    assert "\n" not in missing.reason


def test_a_second_attempt_makes_nothing_again(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(monkeypatch, "fp16", clueless)
    first = made(subject, kept=tmp_path)
    replace(monkeypatch, "fp16", None)  # to be called is an error
    replace(monkeypatch, "int8", None)

    again = made(subject, kept=tmp_path)

    assert (again.files, again.missing) == (first.files, first.missing)
    assert [model.to_bytes() for model in again.models.values()] == [
        model.to_bytes() for model in first.models.values()
    ]


def test_another_network_of_the_job_has_files_of_its_own(subject: Subject, tmp_path: Path) -> None:
    first = made(subject, kept=tmp_path)
    name = next(iter(subject.model.graph.initializers))
    other = subject.model.copy()
    other.set_weight(name, 2 * other.weight(name))

    again = made(subject, other, kept=tmp_path)

    assert all(one.sha256 != before.sha256 for one, before in zip(again.files, first.files, strict=True))


def test_without_a_real_image_ranges_are_those_of_made_ones_and_the_report_says_so() -> None:
    subject = subject_of(NETWORKS["residual"][0](), source="procedural", outputs=["int8"])

    (file,) = made(subject).files

    assert any("made images, for there was no real one" in note for note in file.notes)


def test_a_large_network_is_shown_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []

    def count(source: Model, images: ImageSet, _deploy: Deploy) -> Converted:
        shown.append(len(images))
        return Converted(source, "as it was")

    replace(monkeypatch, "int8", count)
    for macs_a_second in (1e12, 1e3):
        monkeypatch.setattr(making, "RANGE_MACS_A_SECOND", macs_a_second)
        made(subject_of(NETWORKS["residual"][0](), images=400, outputs=["int8"]))

    monkeypatch.setattr(making, "RANGE_MACS_A_SECOND", 1e12)
    monkeypatch.setattr(making, "RANGE_BYTES_MAX", 100 * 4 * 3 * 16 * 16)
    made(subject_of(NETWORKS["residual"][0](), images=400, outputs=["int8"]))

    assert shown == [256, 16, 100]


def test_the_work_before_leaves_time_and_the_fraction_ends_at_one(subject: Subject) -> None:
    told: list[Update] = []
    progress, clock = Progress(told.append), HurriedClock(100)

    before = expect_outputs(subject, progress, clock)
    make_outputs(subject, subject.upload, clock, progress, Checkpoint(None, []))

    assert 80 < before.left() < 95
    assert told[-1].stage == "outputs"
    assert told[-1].fraction == 1
    assert expect_outputs(subject_of(subject.upload, outputs=["fp32"]), Progress(), clock).left() == pytest.approx(
        clock.left(), abs=1
    )


def interval(value: float) -> Interval:
    return Interval(value=value, low=value - 0.02, high=value + 0.02)


@pytest.mark.parametrize(
    ("ratio", "size_bytes", "said"),
    [
        (0.5, 10, []),
        (0.99, 10, ["not surely faster"]),
        (1.01, 10, ["not surely faster"]),
        (1.1, 10, ["It is slower than model.onnx here: 1.10 times its time (1.08 to 1.12)."]),
        (0.5, 40, ["no smaller"]),
        (1.1, 41, ["slower", "no smaller"]),
    ],
)
def test_a_file_that_gains_nothing_is_told_as_such(ratio: float, size_bytes: int, said: list[str]) -> None:
    notes = list(on_gain(interval(ratio), size_bytes, fp32_bytes=40))

    assert len(notes) == len(said)
    assert all(word in note for word, note in zip(said, notes, strict=True))


def test_every_source_of_images_is_told_in_its_own_words() -> None:
    def note(source: str, shown: int) -> Iterator[str]:
        use = {"rung": 1, "source": source, "repair_images": 9, "selection_images": 1, "test_images": 0}
        return on_images(DataUse.model_validate(use), shown)

    notes = {source: "".join(note(source, 9)) for source in ("calibration", "mixed", "procedural", "inverted")}

    assert all("9" in said for said in notes.values())
    assert "made" not in notes["calibration"]
    assert "made ones among them" in notes["mixed"]
    assert notes["procedural"] == notes["inverted"]
    assert list(note("calibration", 0)) == []
