"""The story of zeros: thin the weights, refit what is left, and measure what that is good for. Nothing gets smaller."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from engine.candidates import Candidate
from engine.clock import Clock
from engine.errors import RecipeInvalid
from engine.graph.channels.remaining import Remaining
from engine.graph.model import Model
from engine.measure.cost import cost
from engine.measure.fidelity import compare_fidelity
from engine.methods.magnitude import thin, thinnable, zeros_in
from engine.outcome import Verdict, judge_zeros
from engine.planning import Plan
from engine.planning.times import measure_against_upload
from engine.progress import Progress
from engine.recipe import Magnitude, Pareto
from engine.recovery.closed_form import images_for, refit_in_order
from engine.recovery.effort import affordable
from engine.recovery.masked import masked_weights
from engine.recovery.questions import Question, questions
from engine.recovery.reference import Reference
from engine.report import Interval, LatencyComparison, Recovery, Zeros
from engine.subject import Subject
from engine.verify import verify

COMPRESSION_LEVEL = 6
"""Of zlib, which is what `gzip` and most downloads take."""


@dataclass(frozen=True)
class Thinned:
    """What was made, as other methods make it, and the account of its zeros."""

    candidate: Candidate
    zeros: Zeros
    verdict: Verdict


def thin_network(subject: Subject, reference: Reference, progress: Progress, clock: Clock) -> Thinned:
    """Thin, refit and measure one network. Raises NothingToCut, and RecipeInvalid for a front."""
    method, target = subject.recipe.method, subject.recipe.target
    assert isinstance(method, Magnitude)
    if isinstance(target, Pareto):
        message = (
            "Method magnitude makes one network, which is no faster than the original: no front can be made of it."
        )
        raise RecipeInvalid(f"{message} Ask for a parameters_ratio.", where="target")
    with progress.stage("cut"):
        plain = thin(subject.model, method.sparsity, method.pattern)
    with progress.stage("recover") as tell:
        model, recovery = _refit(subject, reference, plain, lambda done, total: tell(done / total, f"layer {done + 1}"))
    with progress.stage("verify"):
        verify(subject, model)
    with progress.stage("report"):
        latency = _time(subject, model, clock)
        to_dense = _time(dataclasses.replace(subject, upload=subject.model), model, clock)
        test = subject.split.test
        fidelity = compare_fidelity(subject.upload, model, test, subject.compute) if len(test) else None
    plan = Plan((), 1.0, recovery.error_final)
    made = Candidate(plan, model, model, recovery, latency, cost(model, subject.image_shapes), fidelity)
    zeros = _account(subject.upload, model, method, to_dense.ratio)
    before = cost(subject.upload, subject.image_shapes)
    return Thinned(made, zeros, judge_zeros(target, latency, before, made.cost, zeros, fidelity))


def _time(subject: Subject, model: Model, clock: Clock) -> LatencyComparison:
    return measure_against_upload(subject, model, seconds=clock.part(0.04, 15), until_width=0.005, doubt_seconds=0.0)


def _refit(
    subject: Subject, reference: Reference, plain: Model, on_layer: Callable[[int, int], None]
) -> tuple[Model, Recovery]:
    """Refit the weights that are left, layer after layer, each on what those before it made of the images."""
    model, features = subject.model, subject.features
    layers = frozenset(layer.node for layer in thinnable(model))
    found = questions(model, plain, (), features.values, Remaining(readers=layers))
    asked = [one for one in found if isinstance(one, Question) and one.writer.node in layers]  # a map would fill zeros
    few = affordable(model, plain, asked, subject.split.repair)
    images, refitted = images_for(few, subject.split.selection), plain.copy()
    refit_in_order(model, refitted, asked, images, subject.compute, subject.recipe.seed, on_layer, solve=masked_weights)
    errors = [reference.error_of(each, features) for each in (plain, refitted)]
    best = refitted if errors[1] <= errors[0] else plain
    recovery = Recovery(
        error_plain=errors[0],
        error_closed_form=errors[1],
        error_final=min(errors),
        steps=0,
        best_step=0,
        stopped_by="schedule",
    )
    return best, recovery


def _account(upload: Model, model: Model, method: Magnitude, to_dense: Interval) -> Zeros:
    """Count the zeros and weigh both files, as they are and compressed."""
    layers = thinnable(model)
    zeros, weights = zeros_in(model, layers)
    before, after = (len(zlib.compress(each.to_bytes(), COMPRESSION_LEVEL)) for each in (upload, model))
    return Zeros(
        pattern=method.pattern,
        zeros=zeros,
        weights=weights,
        original_compressed_bytes=before,
        delivered_compressed_bytes=after,
        ratio_to_dense=to_dense,
        meaning=(
            f"{zeros} of {weights} weights are zero. The file is as large as before; compressed, as downloads are, it "
            f"takes {after / before:.2f} of what the original takes. Zeros make nothing faster, for dense runtimes "
            f"multiply by them as by any other number: with them the network takes {to_dense.value:.2f} "
            f"({to_dense.low:.2f} to {to_dense.high:.2f}) of its time without."
        ),
    )
