"""Notes about sizes in an ONNX file that contradict its graph, dropped before anything relies on them."""

from __future__ import annotations

import onnx

from engine.formats.checks.facts import Known, agree


def forget_stale(graph: onnx.GraphProto, known: Known) -> None:
    """Drop, in place, notes about sizes that contradict the graph; editing an input by hand leaves such behind."""
    kept = [value for value in graph.value_info if not _is_stale(value, known)]
    if len(kept) < len(graph.value_info):
        del graph.value_info[:]
        graph.value_info.extend(kept)


def _is_stale(value: onnx.ValueInfoProto, known: Known) -> bool:
    sizes = known.sizes(value.name)
    if sizes is None or not value.type.tensor_type.HasField("shape"):
        return False
    noted = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)
    return not agree(noted, sizes)
