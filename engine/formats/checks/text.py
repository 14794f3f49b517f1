"""Whether what should be text is text: protobuf hands out bytes in place of names that are not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from engine.errors import ModelUnreadable
from engine.formats.checks.bodies import every_graph


def check_text(graph: onnx.GraphProto) -> None:
    """Raise ModelUnreadable, naming the node or tensor, at the first name that is no text."""
    for owner, texts in (found for inner in every_graph(graph) for found in _texts(inner)):
        wrong = next((text for text in texts if not isinstance(text, str)), None)
        if wrong is not None:
            raise ModelUnreadable(
                f"{owner}: the name {wrong!r} is not UTF-8 text. The file is damaged; export it again.", where=owner
            )


def _texts(graph: onnx.GraphProto) -> Iterator[tuple[str, list[str]]]:
    for tensor in graph.initializer:
        yield f"Tensor '{tensor.name}'", _of_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield f"Value '{value.name}'", [value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim)]
    for node in graph.node:
        yield f"Node '{node.name}'", [node.name, node.op_type, node.domain, *node.input, *node.output]
        for attribute in node.attribute:
            texts = [attribute.name, attribute.ref_attr_name]
            for tensor in (attribute.t, *attribute.tensors):
                texts += _of_tensor(tensor)
            yield f"Node '{node.name}'", texts


def _of_tensor(tensor: onnx.TensorProto) -> list[str]:
    entries = [text for entry in tensor.external_data for text in (entry.key, entry.value)]
    return [tensor.name, *entries]
