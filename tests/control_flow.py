"""Residual networks in whose middle something is chosen, repeated or scanned at each run."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from engine.graph.model import Model
from tests.networks import CHANNELS, Draft, blocks, stem

MAP = ("batch", CHANNELS, 16, 16)


def told(name: str, kind: int = TensorProto.FLOAT, shape: tuple[int | str, ...] = MAP) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def branch(output: str, *nodes: NodeProto) -> GraphProto:
    """Return a graph that is given nothing; names may be those of another branch."""
    return helper.make_graph(list(nodes), "branch", [], [told(output)])


def is_bright(draft: Draft) -> str:
    return draft.node("Greater", draft.node("ReduceMean", "image", keepdims=0), draft.constant(0.0))


def chosen(*, shared: bool = False) -> Model:
    """A branch that may convolve by weights from outside; `shared`: they are those of the first layer behind it."""
    draft = Draft()
    x = blocks(draft, stem(draft), 2)
    weight, bright = draft.weight(CHANNELS, CHANNELS, 1, 1), is_bright(draft)
    convolved = helper.make_node("Conv", [x, weight], ["inner"])
    last = helper.make_node("Tanh", ["inner"], ["made"])
    other = branch("made", helper.make_node("Neg", [x], ["inner"]), last)
    y = draft.node("If", bright, then_branch=branch("made", convolved, last), else_branch=other)
    if shared:
        y = draft.node("Conv", y, weight)
    return draft.model(draft.classify(blocks(draft, y, 1)))


def chosen_beside_a_skip() -> Model:
    """What the If makes is added to what its branches read: a unit that holds graphs."""
    draft = Draft()
    x = blocks(draft, stem(draft), 1)
    weight = draft.weight(CHANNELS, CHANNELS, 1, 1)
    halved = draft.node("Mul", x, draft.constant(0.5))
    convolved = branch("made", helper.make_node("Conv", [halved, weight], ["made"]))
    strong = draft.node("Greater", draft.node("ReduceMean", x, keepdims=0), draft.constant(0.55))
    squeezed = branch("made", helper.make_node("Tanh", [x], ["made"]))
    y = draft.node("If", strong, then_branch=convolved, else_branch=squeezed)
    return draft.model(draft.classify(draft.node("Relu", draft.node("Add", x, y))))


def looped() -> Model:
    """Three turns, each of which reads what came before the loop and a weight that only the body reads."""
    draft = Draft()
    x = blocks(draft, stem(draft), 1)
    scale = numpy_helper.from_array(np.full((CHANNELS, 1, 1), 0.5, np.float32), "scale")
    nodes = [
        helper.make_node("Identity", ["going"], ["goes_on"]),
        helper.make_node("Mul", ["state", "scale"], ["part"]),
        helper.make_node("Add", ["part", x], ["next"]),
    ]
    taken = [told("turn", TensorProto.INT64, ()), told("going", TensorProto.BOOL, ()), told("state")]
    body = helper.make_graph(nodes, "body", taken, [told("goes_on", TensorProto.BOOL, ()), told("next")], [scale])
    turns, yes = draft.constant(3, np.int64), draft.constant(True, np.bool_)
    y = draft.node("Loop", turns, yes, draft.node("Sigmoid", x), body=body)
    return draft.model(draft.classify(blocks(draft, y, 1)))


def scanned() -> Model:
    """The rows of the map one by one, summed up as they go, each with the mean of the whole map."""
    draft = Draft()
    x = blocks(draft, stem(draft), 1)
    mean = draft.node("ReduceMean", x, keepdims=0)
    start = draft.node("ReduceMean", x, draft.constant([2], np.int64), keepdims=0)
    row = ("batch", CHANNELS, 16)
    nodes = [
        helper.make_node("Add", ["sum", "row"], ["more"]),
        helper.make_node("Sub", ["more", mean], ["shown"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [told("sum", shape=row), told("row", shape=row)],
        [told("more", shape=row), told("shown", shape=row)],
    )
    sizes = {"num_scan_inputs": 1, "scan_input_axes": [2], "scan_output_axes": [2]}
    draft.node("Scan", start, x, outputs=2, body=body, **sizes)
    y = draft.node("Tanh", draft.nodes[-1].output[1])
    return draft.model(draft.classify(blocks(draft, y, 1)))


CONTROL_FLOW = {
    "If": chosen,
    "If with a shared weight": lambda: chosen(shared=True),
    "If beside a skip": chosen_beside_a_skip,
    "Loop": looped,
    "Scan": scanned,
}
