"""What a network can be taught by labels, or the reason why it cannot: images, and scores of their classes."""

from __future__ import annotations

import onnx_ir as ir

from engine.data.images import ImageSet
from engine.execution.trainable import is_trainable
from engine.graph.edits import kind
from engine.graph.features import is_class_scores
from engine.graph.model import Model
from engine.labels.training import Lessons
from engine.labels.views import may_be_mirrored
from engine.subject import Subject

_NORMALISED = {"Softmax", "LogSoftmax", "Sigmoid"}
_QUANTISED = {"DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}


def lessons_for(subject: Subject, model: Model) -> Lessons:
    """Return what this network, of the subject's images and classes, is taught; there must be no refusal."""
    images, scores = subject.labelled, scores_of(model)
    assert images is not None
    assert scores is not None
    layout = subject.recipe.preprocess.layout
    mirrored = may_be_mirrored(subject.upload, images, layout, subject.compute)
    return Lessons(images, unnormalised(scores), mirrored, layout)


def refusal(subject: Subject, model: Model) -> str | None:
    """Say why a network cannot be trained with labels, None where it can."""
    scores = scores_of(model)
    if scores is None:
        return "the network gives no class scores."
    labelled, test = subject.labelled, subject.split.test
    if labelled is None or not len(labelled) or labelled.labels is None:
        return "the images have no labels. Send them in one folder a class, or with an array of labels."
    if not _fit(scores, labelled) or not _fit(scores, test):
        return "the images' labels are not the classes that the network scores, or none is left to test on."
    return _unable(model)


def scores_of(model: Model) -> ir.Value | None:
    """Return the first output that is scores of classes."""
    return next((output for output in model.graph.outputs if is_class_scores(output)), None)


def unnormalised(scores: ir.Value) -> str:
    """Return the name of what a last softmax reads: cross-entropy takes its own."""
    node = scores.producer()
    if node is not None and kind(node) in _NORMALISED and node.inputs[0] is not None:
        return str(node.inputs[0].name)
    return str(scores.name)


def _fit(scores: ir.Value, images: ImageSet) -> bool:
    assert scores.shape is not None
    classes = scores.shape[1]
    assert isinstance(classes, int)
    return images.labels_fit(classes)


def _unable(model: Model) -> str | None:
    weights = [value for value in model.graph.initializers.values() if is_trainable(value)]
    if any(value.dtype != ir.DataType.FLOAT for value in weights):
        return "the network calculates in half precision, in which nothing is trained by labels."
    if not weights or any(kind(node) in _QUANTISED for node in model.graph):
        return "the network's weights are not floating-point numbers that could be trained."
    return None
