"""Training for sparsity: the upload learns on, and its batch norms' scales are pulled towards zero.

Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017. arXiv:1708.06519
"""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnx_ir as ir

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.graph.channels.scales import norm_scales
from engine.graph.features import find_features
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.labels.lessons import lessons_for, refusal
from engine.labels.training import Pull, Trained, train
from engine.measure.fidelity import correct
from engine.progress import Progress, Tell
from engine.recipe import Slimming
from engine.recovery.schedule import Schedule
from engine.subject import Subject

TIME_SHARE = 0.4
"""The part of what is left of the budget, once the images are read, that it may take."""

BATCH, RATE = 64, 0.02


def sparsified(subject: Subject, progress: Progress, clock: Clock, checkpoint: Checkpoint) -> Subject:
    """Return the subject with a network trained for sparsity in place of its own, where the recipe asks for that.

    Everything behind, features and repair, follows the trained network; what is delivered is held against the upload
    all the same. Without labels, or without a norm, it stays as it is and a note says why.
    """
    options = subject.recipe.method
    if not isinstance(options, Slimming) or not options.sparsity_steps or not norm_scales(subject.plain):
        return subject
    reason = refusal(subject, subject.plain)
    if reason is not None:
        return _noted(subject, f"Not trained for sparsity: {reason}")
    progress.expect_sparsity(TIME_SHARE)
    kept = checkpoint.read_bytes("sparse")
    with progress.stage("sparsify") as tell:
        if kept is None:
            plain, trained = _train(subject, options, clock, tell, checkpoint)
            if not trained.is_finite:
                return _noted(subject, f"Not trained for sparsity: the weights ran away in {trained.steps} steps.")
            kept = plain.to_bytes()
            checkpoint.write_bytes("sparse", kept)
    plain = Model(ir.from_proto(onnx.load_model_from_string(kept)))
    model = merge(fold(plain))
    found = dataclasses.replace(subject, plain=plain, model=model, features=find_features(model))
    return _noted(found, _account(subject, model, options))


def train_sparse(
    subject: Subject, steps: int, strength: float, seconds: float, tell: Tell, checkpoint: Checkpoint
) -> tuple[Model, Trained]:
    """Return a copy of the plain form that was trained by labels, with all scales of its norms pulled towards zero."""
    plain = subject.plain.copy()
    trained = train(
        plain,
        lessons_for(subject, plain),
        Schedule("sgd", steps=steps, batch=BATCH, learning_rate=RATE, warm_up=0.05),
        device=subject.device,
        seed=subject.recipe.seed,
        seconds=seconds,
        tell=tell,
        checkpoint=checkpoint,
        pull=Pull(tuple(norm_scales(plain)), strength),
    )
    return plain, trained


def _train(
    subject: Subject, options: Slimming, clock: Clock, tell: Tell, checkpoint: Checkpoint
) -> tuple[Model, Trained]:
    seconds = clock.left() * TIME_SHARE
    return train_sparse(subject, options.sparsity_steps, options.sparsity, seconds, tell, checkpoint.of("sparse"))


def _account(subject: Subject, model: Model, options: Slimming) -> str:
    """Say how right the trained network is beside the upload, on images that it has not learnt from."""
    test = subject.split.test
    before, after = (correct(each, test, subject.compute) for each in (subject.upload, model))
    assert before is not None
    assert after is not None
    shares = [f"{100 * float(np.mean(hits)):.0f} %" for hits in (before, after)]
    return (
        f"The upload was first trained for sparsity with labels, {options.sparsity_steps} steps at most: right on "
        f"{shares[0]} of {len(test)} unseen images before, on {shares[1]} after, with nothing cut as yet."
    )


def _noted(subject: Subject, note: str) -> Subject:
    return dataclasses.replace(subject, notes=(*subject.notes, note))
