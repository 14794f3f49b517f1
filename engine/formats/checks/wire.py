"""A first look at the raw bytes of an ONNX file, before anything is built from them: how much is in there, how deep.

A few bytes on disk can become hundreds in memory, so counts are bounded here. Reads the protobuf wire format; see
https://protobuf.dev/programming-guides/encoding/ and onnx.proto for the field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import ModelUnreadable, ModelUnsafe, OperatorUnsupported

MOST_NODES = 50_000
MOST_ENTRIES = 1_000_000
"""Fields of the model, its graphs and their nodes together, weights' contents not counted."""

DEEPEST = 4
"""Graphs inside each other's nodes, the outermost not counted: what walks them goes down by calling itself."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE = 1
_NODE_NAME, _NODE_OP_TYPE, _NODE_ATTRIBUTE = 3, 4, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11


def check_wire(data: bytes) -> None:
    """Refuse a file with too many parts, with functions, or with graphs too deep inside each other's nodes.

    Raises ModelUnreadable, ModelUnsafe or OperatorUnsupported.
    """
    _Scan(memoryview(data)).model()


class _Scan:
    """One walk over the bytes, counting what it passes."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.entries = 0
        self.nodes = 0

    def model(self) -> None:
        for field, start, end in self._fields(0, len(self.data)):
            if field == _MODEL_FUNCTIONS:
                raise OperatorUnsupported(
                    "The file defines local functions, which are not run. Inline them before uploading: "
                    "onnx.inliner.inline_local_functions(model)."
                )
            if field == _MODEL_GRAPH:
                self._graph(start, end, 0)

    def _graph(self, start: int, end: int, depth: int) -> None:
        for field, inner, stop in self._fields(start, end):
            if field == _GRAPH_NODE:
                self.nodes += 1
                if self.nodes > MOST_NODES:
                    raise ModelUnsafe(f"The graph has more than {MOST_NODES} nodes. Export a smaller graph.")
                self._node(inner, stop, depth)

    def _node(self, start: int, end: int, depth: int) -> None:
        texts: dict[int, str] = {}
        held: list[tuple[int, int]] = []
        for field, inner, stop in self._fields(start, end):
            if field in (_NODE_NAME, _NODE_OP_TYPE):
                texts[field] = bytes(self.data[inner:stop]).decode("utf-8", "replace")
            elif field == _NODE_ATTRIBUTE:
                found = self._fields(inner, stop)
                held += [(at, to) for number, at, to in found if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS)]
        if held and depth == DEEPEST:
            name, op_type = texts.get(_NODE_NAME, ""), texts.get(_NODE_OP_TYPE, "")
            raise OperatorUnsupported(
                f"Node '{name}': {op_type} holds a graph that lies more than {DEEPEST} graphs deep. "
                "Export the network with fewer branches and loops inside each other.",
                where=name or op_type,
            )
        for inner, stop in held:
            self._graph(inner, stop, depth + 1)

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield field number, begin and end of each field's contents."""
        at = start
        while at < end:
            self.entries += 1
            if self.entries > MOST_ENTRIES:
                raise ModelUnsafe(f"The file has more than {MOST_ENTRIES} entries. Export a smaller graph.")
            key, at = self._varint(at, end)
            kind = key & 7
            if kind == _VARINT:
                begin, (_, at) = at, self._varint(at, end)
            elif kind in (_FIXED64, _FIXED32):
                begin, at = at, at + (8 if kind == _FIXED64 else 4)
            elif kind == _BYTES:
                length, begin = self._varint(at, end)
                at = begin + length
            else:
                raise ModelUnreadable(f"This is not an ONNX file: byte {at} holds no known kind of field.")
            if at > end:
                raise ModelUnreadable(
                    f"The file ends too early: byte {begin} announces {at - begin} bytes and {end - begin} are there. "
                    "It is truncated or not ONNX; upload it again."
                )
            yield key >> 3, begin, at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self.data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at
        raise ModelUnreadable(f"The file is truncated or not ONNX: no whole number at byte {at}. Upload it again.")
