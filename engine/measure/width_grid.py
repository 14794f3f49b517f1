"""The width grid: to which multiples of channels this machine's kernels are made, asked of the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from engine.graph.model import Model
from engine.measure.latency import time_models
from engine.measure.statistics import paired_ratio
from engine.recipe import Deploy
from engine.report import Interval

MULTIPLES = (4, 8, 16, 32)
WIDTH = 128
SIDE = 28
REWARDED = 0.3
"""A step down that saves less than this part of what its channels are of the whole is no step of the grid."""


def measured_multiple(deploy: Deploy, *, seed: int, budget_seconds: float) -> int:
    """Return the smallest multiple of MULTIPLES whose step down from 128 channels surely pays.

    Where none surely does, the smallest that pays by its median; the largest if there is none either.

    Runtimes keep channels in blocks of 8 or 16: on one with AVX2 a block of 1x1, depthwise and 1x1 convolutions with
    127 channels took 2.2 times as long as with 128. A processor is asked with one image at a time, whatever the batch:
    its blocks are of channels, and a step of 4 is a matter of one per cent, which takes many rounds to tell.
    """
    widths = {f"{kind} {WIDTH - step}": (kind, WIDTH - step) for kind in _LAYERS for step in (0, *MULTIPLES)}
    models = {name: _network(kind, width) for name, (kind, width) in widths.items()}
    asked = deploy.model_copy(update={"batch": 1}) if deploy.provider == "cpu" else deploy
    samples = time_models(models, asked, {}, seed=seed, budget_seconds=budget_seconds)

    def ratios(step: int) -> list[Interval]:
        pairs = [(samples[f"{kind} {WIDTH - step}"], samples[f"{kind} {WIDTH}"]) for kind in _LAYERS]
        return [paired_ratio(narrow, whole, seed=seed) for narrow, whole in pairs]

    found = {step: ratios(step) for step in MULTIPLES}
    enough = {step: 1 - REWARDED * step / WIDTH for step in MULTIPLES}
    surely = [step for step in MULTIPLES if all(ratio.high <= enough[step] for ratio in found[step])]
    likely = [step for step in MULTIPLES if all(ratio.value <= enough[step] for ratio in found[step])]
    return next(iter([*surely, *likely, MULTIPLES[-1]]))


def _network(kind: str, width: int) -> Model:
    """Return a stack of three layers of this kind and width, for any batch of maps of 28 x 28."""
    nodes, weights, last = [], [], "image"
    shape: list[str | int | None] = ["batch", width, SIDE, SIDE]
    for number, (kernel, groups) in enumerate(_LAYERS[kind]):
        weight = np.full((width, 1 if groups else width, kernel, kernel), 1e-3, np.float32)
        weights.append(numpy_helper.from_array(weight, f"weight{number}"))
        attributes: dict[str, Any] = {"pads": [kernel // 2] * 4, "group": width if groups else 1}
        nodes.append(helper.make_node("Conv", [last, f"weight{number}"], [f"sum{number}"], **attributes))
        nodes.append(helper.make_node("Relu", [f"sum{number}"], [f"out{number}"]))
        last = f"out{number}"
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        weights,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(proto)
    return Model(ir.from_proto(proto))


_LAYERS = {
    "dense": ((3, False), (3, False), (3, False)),
    "depthwise": ((1, False), (3, True), (1, False)),
}
"""(kernel, depthwise or not) of each layer of a stack."""
