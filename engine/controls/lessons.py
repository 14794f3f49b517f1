"""What a control can learn from, or the reason why it cannot: labelled images, and scores of their classes."""

from __future__ import annotations

import onnx_ir as ir

from engine.controls.norms import has_batch_norms, with_norms
from engine.controls.training import Lessons
from engine.controls.views import may_be_mirrored
from engine.data.images import ImageSet
from engine.execution.trainable import is_trainable
from engine.graph.edits import kind
from engine.graph.features import is_class_scores
from engine.graph.model import Model
from engine.measure.batches import fixed_batch
from engine.subject import Subject

FIXED_BATCH_LEAST = 8
"""A batch norm learns nothing from the statistics of fewer images than that."""

_NORMALISED = {"Softmax", "LogSoftmax", "Sigmoid"}
_QUANTISED = {"DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}


def lessons_for(subject: Subject, model: Model) -> Lessons | str:
    """Return what this network, of the subject's architecture, can be taught; a sentence where it cannot be."""
    reason = refusal(subject, model)
    if reason is not None:
        return reason
    images, layout = subject.labelled, subject.recipe.preprocess.layout
    assert images is not None
    scores = scores_of(model)
    assert scores is not None
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
        return "the network calculates in half precision, in which nothing is trained from random weights."
    if not weights or any(kind(node) in _QUANTISED for node in model.graph):
        return "the network's weights are not floating-point numbers that could be drawn anew."
    batch = fixed_batch(model)
    if batch is not None and batch < FIXED_BATCH_LEAST and has_batch_norms(with_norms(model)):
        return f"the network takes {batch} images at a time, too few for batch norms. Export it with an open batch."
    return None
