"""Makes the files that a recipe asks for beside the network: checked, timed, compared. None ends a job by failing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.measure.cost import count
from engine.measure.fidelity import compare_fidelity
from engine.measure.latency import compare_latency
from engine.outputs import OUTPUTS, Kind
from engine.outputs.apart import convert_apart, reason_of
from engine.outputs.notes import on_gain, on_images
from engine.progress import Progress, Tell
from engine.report import LatencyComparison, MissingOutput, OutputFile
from engine.subject import Subject
from engine.verify import verify

TIME_SHARE_EACH = 0.06
"""The part of the time that is kept for each further file."""

TIMING_SHARE, TIMING_SECONDS_MAX = 0.02, 10.0
"""The part of the budget that each of a file's two comparisons may take."""

RANGE_IMAGES_MIN, RANGE_IMAGES_MAX = 16, 256
RANGE_BYTES_MAX = 2**28
RANGE_MACS_A_SECOND = 1e9
"""Work that showing images to a converter may cost, by the budget: by the clock it would be other images each time."""

CHECKED_IMAGES = 8


@dataclass(frozen=True)
class Outputs:
    """The networks by file, the account of each, and what could not be made."""

    models: Mapping[str, Model]
    files: tuple[OutputFile, ...] = ()
    missing: tuple[MissingOutput, ...] = ()


@dataclass(frozen=True)
class _Bench:
    """What all files are made of and held against; `source` is the delivered network in plain form."""

    subject: Subject
    delivered: Model
    clock: Clock
    checkpoint: Checkpoint

    @property
    def source(self) -> Model:
        return self.subject.model if self.delivered is self.subject.upload else self.delivered


_Made = tuple[OutputFile, Model] | MissingOutput


def kinds_asked(subject: Subject) -> list[Kind]:
    """Return the kinds that the recipe names beside fp32."""
    return [kind for kind in OUTPUTS if kind in subject.recipe.outputs]


def expect_outputs(subject: Subject, progress: Progress, clock: Clock) -> Clock:
    """Return the clock of the work that comes before: it leaves time for each file that is asked for."""
    kinds = kinds_asked(subject)
    if kinds:
        progress.expect_outputs()
    return clock.within(1 - TIME_SHARE_EACH * len(kinds))


def make_outputs(
    subject: Subject, delivered: Model, clock: Clock, progress: Progress, checkpoint: Checkpoint
) -> Outputs:
    """Make each file that is asked for of the network that is delivered; one that fails is told with its reason."""
    kinds = kinds_asked(subject)
    if not kinds:
        return Outputs({})
    with progress.stage("outputs") as tell:
        made = list(_each(_Bench(subject, delivered, clock, checkpoint), kinds, tell))
    there = [one for one in made if not isinstance(one, MissingOutput)]
    missing = tuple(one for one in made if isinstance(one, MissingOutput))
    return Outputs({file.file: model for file, model in there}, tuple(file for file, _ in there), missing)


def _each(bench: _Bench, kinds: list[Kind], tell: Tell) -> Iterator[_Made]:
    digest = _sha256(bench.delivered)
    for number, kind in enumerate(kinds):
        tell(number / len(kinds), f"making {kind}")
        yield _kept(bench.checkpoint, kind, digest) or _tried(bench, kind, digest)


def _tried(bench: _Bench, kind: Kind, digest: str) -> _Made:
    """Make one file, and keep what came of it for a second attempt."""
    try:
        found: _Made = _made(bench, kind)
    except Exception as error:  # whatever goes wrong in here is told, and the job goes on
        found = MissingOutput(kind=kind, reason=reason_of(error))
    _keep(bench.checkpoint, kind, digest, found)
    return found


def _made(bench: _Bench, kind: Kind) -> tuple[OutputFile, Model]:
    subject, reads_images = bench.subject, OUTPUTS[kind].reads_images
    shown = _evenly(subject.split.repair, _worth_showing(subject) if reads_images else CHECKED_IMAGES)
    converted = convert_apart(kind, bench.source, shown, subject.recipe.deploy)
    model, test = converted.model, subject.split.test
    verify(subject, model, CHECKED_IMAGES)
    latency = _timed(bench, subject.upload, model)
    ratio = latency.ratio if bench.delivered is subject.upload else _timed(bench, bench.delivered, model).ratio
    content = model.to_bytes()
    account = OutputFile(
        kind=kind,
        file=f"outputs/{kind}.onnx",
        how=converted.how,
        latency=latency,
        ratio_to_fp32=ratio,
        fidelity=compare_fidelity(subject.upload, model, test, subject.compute) if len(test) else None,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        notes=(
            *on_images(subject.data, len(shown) if reads_images else 0),
            *on_gain(ratio, len(content), len(bench.delivered.to_bytes())),
        ),
    )
    return account, model


def _worth_showing(subject: Subject) -> int:
    """Return how many images the converter is shown: as many as are worth their time and their room."""
    one = max(count(subject.model, subject.image_shapes).macs, 1)
    by_time = int(RANGE_MACS_A_SECOND * subject.recipe.budget_seconds / one)
    by_room = int(RANGE_BYTES_MAX / subject.split.repair.inputs[0].nbytes)
    return min(max(min(by_time, by_room), RANGE_IMAGES_MIN), RANGE_IMAGES_MAX)


def _evenly(images: ImageSet, wanted: int) -> ImageSet:
    return images.take(np.linspace(0, len(images) - 1, min(wanted, len(images))).astype(int))


def _timed(bench: _Bench, before: Model, after: Model) -> LatencyComparison:
    subject = bench.subject
    return compare_latency(
        before,
        after,
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=bench.clock.part(TIMING_SHARE, TIMING_SECONDS_MAX),
        doubt_seconds=0,
    )


def _kept(checkpoint: Checkpoint, kind: Kind, digest: str) -> _Made | None:
    """Return what an earlier attempt made of the same network."""
    kept = checkpoint.read_json(kind) or {}
    if kept.get("of") != digest or "made" not in kept:
        return None
    if kept["made"] is None:
        return MissingOutput.model_validate(kept["missing"])
    account, content = OutputFile.model_validate(kept["made"]), checkpoint.read_bytes(kind)
    if content is None or hashlib.sha256(content).hexdigest() != account.sha256:
        return None
    return account, Model(ir.from_proto(onnx.load_model_from_string(content)))


def _keep(checkpoint: Checkpoint, kind: Kind, digest: str, found: _Made) -> None:
    if isinstance(found, MissingOutput):
        checkpoint.write_json(kind, {"of": digest, "made": None, "missing": found.model_dump()})
        return
    account, model = found
    checkpoint.write_bytes(kind, model.to_bytes())
    checkpoint.write_json(kind, {"of": digest, "made": account.model_dump()})


def _sha256(model: Model) -> str:
    return hashlib.sha256(model.to_bytes()).hexdigest()
