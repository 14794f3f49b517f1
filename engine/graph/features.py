"""Where a network's features are: the values that its heads read. Found from the graph alone."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from engine.errors import OperatorUnsupported
from engine.graph.edits import kind
from engine.graph.finders import judged_by
from engine.graph.model import Model

_LAYOUT = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast", "Gather", "Slice"}
_POOLING = {"GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean", "ReduceMax"}
_HEAD = _LAYOUT | _POOLING | {"Gemm", "MatMul", "Add", "Softmax", "LogSoftmax", "Sigmoid"}


@dataclass(frozen=True)
class Features:
    """`values` are compared by their relative error; `logits` are the outputs that are class scores, (N, K > 1)."""

    values: tuple[str, ...]
    logits: tuple[str, ...]


def find_features(model: Model) -> Features:
    """Return, for each output of class scores, the value that its head reads; other outputs stand for themselves.

    The head is what lies behind the last activation or norm: pooling, layout, and linear layers with a bias. A strided
    convolution, a norm or an activation ends it. For detections, of which an image has more or fewer, stands what they
    are found by. Other outputs that are not floating point, such as the best class's index, have no gradient and are
    passed over. Raises OperatorUnsupported where there are no others.
    """
    names: list[str] = []
    logits: list[str] = []
    for output in _comparable(model):
        judges = judged_by(output)
        if judges:
            names += [str(value.name) for value in judges]
            continue
        scores = is_class_scores(output)
        if scores:
            logits.append(str(output.name))
        names.append(str((_before_the_head(output) if scores else output).name))
    return Features(tuple(dict.fromkeys(names)), tuple(logits))


def is_class_scores(output: ir.Value) -> bool:
    """Tell whether an output looks like scores of classes: two axes, the second known and longer than one."""
    shape = output.shape
    return _is_floating(output) and shape is not None and len(shape) == 2 and isinstance(shape[1], int) and shape[1] > 1


def _comparable(model: Model) -> list[ir.Value]:
    found = [output for output in model.graph.outputs if _is_floating(output) or judged_by(output)]
    if not found:
        names = ", ".join(f"'{info.name}' of {info.dtype}" for info in model.outputs)
        raise OperatorUnsupported(
            f"The network gives no floating-point number, only {names}, and a repair cannot be learnt from that. "
            "Export it with what these are made from, such as the class scores, as a floating-point output.",
            where=model.outputs[0].name,
        )
    return found


def _is_floating(output: ir.Value) -> bool:
    return output.dtype is not None and output.dtype.is_floating_point()


def _before_the_head(value: ir.Value) -> ir.Value:
    while (node := value.producer()) is not None and kind(node) in _HEAD:
        read = [v for v in node.inputs if v is not None and not _is_constant(v)]
        if len(read) != 1 or read[0].is_graph_input():
            break
        value = read[0]
    return value


def _is_constant(value: ir.Value) -> bool:
    producer = value.producer()
    return value.is_initializer() or (producer is not None and kind(producer) == "Constant")
