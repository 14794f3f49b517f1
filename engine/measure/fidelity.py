"""How much one network still says what another said, and how often it is right; both run in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.errors import CalibrationMismatch, ModelError
from engine.graph.model import Model
from engine.measure.batches import BATCH, Outputs, fixed_batch, input_batches, outputs_in_batches
from engine.measure.likeness import TINY, Likeness
from engine.measure.statistics import wilson
from engine.recipe import Deploy
from engine.report import Accuracy, Fidelity, Interval

Scores = npt.NDArray[np.float64]  # (images, classes)
Pairs = list[tuple[Scores, Scores]]

UNIT_LENGTH = 1e-3
"""How far from 1 the lengths of rows may be that were brought to length 1."""


def compare_fidelity(original: Model, delivered: Model, images: ImageSet, deploy: Deploy) -> Fidelity:
    """Run both networks on the same images and say how alike each of their outputs is, paired by position.

    Agreement (same top class) is told of outputs that are class scores. That of the whole, and the Kullback-Leibler
    divergence of the delivered scores from the original's, in nats, are of the first of these; scores that are not
    probabilities yet are soft-maxed. Accuracy is given where the labels can be its class indices.

    Raises CalibrationMismatch for no image, ModelError where the outputs do not pair, PostconditionFailed where the
    delivered network says something that is not finite and the original does not.
    """
    _require_images(images)
    _require_pairs(original, delivered)
    likeness = [Likeness(*pair) for pair in zip(original.outputs, delivered.outputs, strict=True)]
    rows: dict[str, Pairs] = {}
    for count, expected, found in _runs(original, delivered, images, deploy):
        for output, before, after in zip(likeness, expected.values(), found.values(), strict=True):
            output.add(before, after, count)
            if _may_be_scores(before, count) and before.shape == after.shape:
                rows.setdefault(output.name, []).append((_float(before), _float(after)))
    scores = _class_scores(rows, len(images))
    agreements = {name: _agreement(*pair) for name, pair in scores.items()}
    outputs = tuple(each.result().model_copy(update={"agreement": agreements.get(each.name)}) for each in likeness)
    if not scores:
        return Fidelity(images=len(images), agreement=None, kl_divergence=None, outputs=outputs)
    before, after = next(iter(scores.values()))
    return Fidelity(
        images=len(images),
        agreement=_agreement(before, after),
        kl_divergence=_kl_divergence(before, after),
        outputs=outputs,
        accuracy=_accuracies(before, after, images),
    )


def correct(model: Model, images: ImageSet, deploy: Deploy | None = None) -> npt.NDArray[np.bool_] | None:
    """Tell for each image whether its label has the highest score; None where that cannot be told."""
    _require_images(images)
    rows: dict[str, Pairs] = {}
    batches = outputs_in_batches(model, images, deploy or Deploy())
    for count, outputs in zip(_counts(model, images), batches, strict=True):
        for name, output in outputs.items():
            if _may_be_scores(output, count):
                rows.setdefault(name, []).append((_float(output), _float(output)))
    scores, _ = next(iter(_class_scores(rows, len(images)).values()), (None, None))
    if scores is None or not images.labels_fit(scores.shape[1]):
        return None
    return np.asarray(scores.argmax(axis=1) == images.labels)


def _runs(
    original: Model, delivered: Model, images: ImageSet, deploy: Deploy
) -> Iterator[tuple[int, Outputs, Outputs]]:
    """Yield how many images a run had and what each network said of them; a fixed batch of one is kept for both."""
    batch = fixed_batch(original) or fixed_batch(delivered) or BATCH
    answers = (outputs_in_batches(model, images, deploy, batch) for model in (original, delivered))
    yield from zip(_counts(original, images, batch), *answers, strict=True)


def _counts(model: Model, images: ImageSet, batch: int = BATCH) -> Iterator[int]:
    """Yield how many images are in each run."""
    return (used for _, used in input_batches(model, images, batch))


def _may_be_scores(output: npt.NDArray[Any], images: int) -> bool:
    """Tell whether an output has the form of class scores: floating point, (images, classes), more than one class."""
    return output.ndim == 2 and output.shape[0] == images and output.dtype.kind == "f" and output.shape[1] > 1


def _class_scores(rows: Mapping[str, Pairs], images: int) -> dict[str, tuple[Scores, Scores]]:
    """Return the outputs that are class scores, in their order, for all images.

    Probabilities are. Of what has the form and does not add up to 1, embeddings are told by their length of 1; and
    beside an output of probabilities nothing else is taken for logits, which may as well be boxes or landmarks.
    """
    whole = {name: _joined(pairs) for name, pairs in rows.items()}
    whole = {name: pair for name, pair in whole.items() if len(pair[0]) == images and np.isfinite(pair[0]).all()}
    certain = {name: pair for name, pair in whole.items() if _are_probabilities(pair[0])}
    return certain or {name: pair for name, pair in whole.items() if not _are_of_length_1(pair[0])}


def _joined(pairs: Sequence[tuple[Scores, Scores]]) -> tuple[Scores, Scores]:
    before, after = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return before, after


def _are_probabilities(scores: Scores) -> bool:
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def _are_of_length_1(scores: Scores) -> bool:
    return bool(np.allclose(np.linalg.norm(scores, axis=1), 1, atol=UNIT_LENGTH))


def _agreement(before: Scores, after: Scores) -> Interval:
    return _share(before.argmax(axis=1) == after.argmax(axis=1))


def _float(output: npt.NDArray[Any]) -> Scores:
    return output.astype(np.float64)


def _kl_divergence(before: Scores, after: Scores) -> float:
    p, q = _log_probabilities(before), _log_probabilities(after)
    return max(float((np.exp(p) * (p - q)).sum(axis=1).mean()), 0.0)


def _log_probabilities(scores: Scores) -> Scores:
    if _are_probabilities(scores):
        return np.log(np.maximum(scores, TINY))
    shifted = scores - scores.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(shifted - normaliser, np.float64)


def _accuracies(before: Scores, after: Scores, images: ImageSet) -> Accuracy | None:
    if not images.labels_fit(before.shape[1]):
        return None
    hits = [scores.argmax(axis=1) == images.labels for scores in (before, after)]
    return Accuracy(original=_share(hits[0]), delivered=_share(hits[1]), images=len(images))


def _share(hits: npt.NDArray[Any]) -> Interval:
    return wilson(int(hits.sum()), len(hits))


def _require_images(images: ImageSet) -> None:
    if not len(images):
        raise CalibrationMismatch("There is no image to run the network on. Send at least one.")


def _require_pairs(original: Model, delivered: Model) -> None:
    before, after = ([info.name for info in model.outputs] for model in (original, delivered))
    if len(before) != len(after):
        raise ModelError(
            f"One network has the outputs {', '.join(before)}, the other {', '.join(after)}. "
            "Compare networks that give the same outputs."
        )
    batches = [fixed_batch(model) for model in (original, delivered)]
    if None not in batches and batches[0] != batches[1]:
        raise ModelError(
            f"One network has a fixed batch of {batches[0]}, the other of {batches[1]}. "
            "Export both with the same batch, or one of them with an open one."
        )
