"""Part of a graph as a graph of its own, so that a runtime computes no more than what is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_ir.passes.common import RemoveUnusedNodesPass

from engine.graph.model import Model


def extract(model: Model, outputs: Sequence[str]) -> Model:
    """Return a new model that computes these values, whatever they were before, and nothing that they do not need."""
    part = model.copy()
    values = part.values()
    part.graph.outputs.clear()
    part.graph.outputs.extend(values[name] for name in dict.fromkeys(outputs))
    RemoveUnusedNodesPass()(part.ir)
    return part
