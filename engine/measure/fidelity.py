"""How much one network still says what another said, and how often it is right; both run in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.errors import CalibrationMismatch, ModelError, PostconditionFailed
from engine.graph.model import Model
from engine.measure.batches import Outputs, outputs_in_batches
from engine.measure.statistics import wilson
from engine.recipe import Deploy
from engine.report import Accuracy, Fidelity, Interval, OutputFidelity

Scores = npt.NDArray[np.float64]  # (images, classes)

TINY = 1e-12


def compare_fidelity(original: Model, delivered: Model, images: ImageSet, deploy: Deploy) -> Fidelity:
    """Run both networks on the same images and say how alike their outputs are, paired by position.

    Agreement (same top class) and the Kullback-Leibler divergence of the delivered scores from the original's, in nats,
    are of the first output that looks like class scores: floating point, (images, classes), more than one class. Scores
    that are not probabilities yet are soft-maxed. Accuracy is given where the labels can be its class indices.

    Raises CalibrationMismatch for no image, ModelError where the outputs do not pair, PostconditionFailed where the
    delivered network says something that is not finite and the original does not.
    """
    _require_images(images)
    likeness: dict[str, _Likeness] = {}
    scores: list[tuple[Scores, Scores]] = []
    batches = outputs_in_batches(original, images, deploy), outputs_in_batches(delivered, images, deploy)
    for expected, answer in zip(*batches, strict=True):
        found = _paired(expected, answer)
        for name, output in expected.items():
            likeness.setdefault(name, _Likeness(name)).add(output, found[name])
        name_of_scores = scores_output(expected)
        if name_of_scores is not None:
            scores.append((_float(expected[name_of_scores]), _float(found[name_of_scores])))
    outputs = tuple(each.result() for each in likeness.values())
    if not scores:
        return Fidelity(images=len(images), agreement=None, kl_divergence=None, outputs=outputs)
    before, after = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    return Fidelity(
        images=len(images),
        agreement=_share(before.argmax(axis=1) == after.argmax(axis=1)),
        kl_divergence=_kl_divergence(before, after),
        outputs=outputs,
        accuracy=_accuracies(before, after, images),
    )


def correct(model: Model, images: ImageSet, deploy: Deploy | None = None) -> npt.NDArray[np.bool_] | None:
    """Tell for each image whether its label has the highest score; None where that cannot be told."""
    _require_images(images)
    scores = []
    for outputs in outputs_in_batches(model, images, deploy or Deploy()):
        name = scores_output(outputs)
        if name is None or not images.labels_fit(outputs[name].shape[1]):
            return None
        scores.append(outputs[name])
    return np.asarray(np.concatenate(scores).argmax(axis=1) == images.labels)


def scores_output(outputs: Outputs) -> str | None:
    """Return the name of the first output that looks like class scores."""
    for name, output in outputs.items():
        if output.ndim == 2 and output.dtype.kind == "f" and output.shape[1] > 1:
            return name
    return None


@dataclass
class _Likeness:
    """Sums over batches that make up one output's relative error and mean cosine."""

    name: str
    error: float = 0.0
    signal: float = 0.0
    cosines: list[float] = field(default_factory=list)

    def add(self, expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> None:
        if expected.shape != found.shape:
            raise ModelError(
                f"Output '{self.name}' has shape {expected.shape} in one network and {found.shape} in the other. "
                "Compare networks that give outputs of the same shapes.",
                where=self.name,
            )
        finite = np.isfinite(expected)
        if not np.isfinite(found[finite]).all():
            message = f"Output '{self.name}' of the delivered network has values that are not finite."
            raise PostconditionFailed(message, where=self.name)
        before, after = (_flat(np.where(finite, output, 0)) for output in (expected, found))
        self.error += float(((after - before) ** 2).sum())
        self.signal += float((before**2).sum())
        self.cosines.extend(_cosines(before, after))

    def result(self) -> OutputFidelity:
        error = float(np.sqrt(self.error) / max(np.sqrt(self.signal), TINY))
        return OutputFidelity(output=self.name, relative_error=error, cosine=float(np.mean(self.cosines)))


def _cosines(before: Scores, after: Scores) -> list[float]:
    """Return one cosine an image; two outputs of nothing but zeros are alike."""
    lengths = [np.linalg.norm(output, axis=1, keepdims=True) for output in (before, after)]
    # each is brought to length 1 first: outputs of 1e-10 have a direction as well
    units = [output / np.where(length > 0, length, 1) for output, length in zip((before, after), lengths, strict=True)]
    cosines = (units[0] * units[1]).sum(axis=1)
    cosines[(before == after).all(axis=1)] = 1.0
    return [float(cosine) for cosine in np.clip(cosines, -1, 1)]


def _flat(output: npt.NDArray[Any]) -> Scores:
    """Return (images, values); a lone number is one image."""
    rows = output.shape[0] if output.ndim else 1
    return _float(output).reshape(rows, -1)


def _float(output: npt.NDArray[Any]) -> Scores:
    return output.astype(np.float64)


def _paired(expected: Outputs, found: Outputs) -> Outputs:
    """Return the second network's outputs under the first one's names."""
    if len(expected) != len(found):
        raise ModelError(
            f"One network has the outputs {', '.join(expected)}, the other {', '.join(found)}. "
            "Compare networks that give the same outputs."
        )
    return dict(zip(expected, found.values(), strict=True))


def _kl_divergence(before: Scores, after: Scores) -> float:
    p, q = _log_probabilities(before), _log_probabilities(after)
    return max(float((np.exp(p) * (p - q)).sum(axis=1).mean()), 0.0)


def _log_probabilities(scores: Scores) -> Scores:
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
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
