"""In which order the nodes of an ONNX graph can run; what their bodies read from around them counts as read."""

from __future__ import annotations

from collections import deque

import onnx

from engine.errors import ModelUnreadable
from engine.formats.checks.bodies import names_made, names_read


def in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes in an order in which they can run.

    Raises ModelUnreadable at a cycle, where some wait for each other for ever.
    """
    own = names_made(graph)
    waiting = [names_read(node) & own for node in graph.node]
    readers: dict[str, list[int]] = {}
    for index, names in enumerate(waiting):
        for name in names:
            readers.setdefault(name, []).append(index)
    order = [index for index, names in enumerate(waiting) if not names]
    made = deque([*(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)])
    made.extend(name for index in order for name in graph.node[index].output)
    while made:
        name = made.popleft()
        for index in readers.pop(name, ()):
            waiting[index].discard(name)
            if not waiting[index]:
                order.append(index)
                made.extend(graph.node[index].output)
    if len(order) < len(waiting):
        node = graph.node[next(index for index, names in enumerate(waiting) if names)]
        message = f"Node '{node.name}' ({node.op_type}) waits for its own result: the graph has a cycle"
        raise ModelUnreadable(f"{message}. Export again.", where=node.name or node.op_type)
    return [graph.node[index] for index in order]
