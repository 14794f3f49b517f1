"""Operators that find: how much they give depends on the image, so that two networks may give more or less of it."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import kind

FINDERS = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}


def judged_by(output: ir.Value) -> tuple[ir.Value, ...]:
    """Return what the finders behind which an output lies go by, () where it lies behind none.

    Behind a NonMaxSuppression these are the boxes and scores of all places; behind what is found of `scores > 0.5`, the
    scores. They have as many numbers for every image, and say what the output can be made of.
    """
    found: list[ir.Value] = []
    for finder in _finders_before(output):
        for value in _numbers_before(finder):
            found += judged_by(value) or (value,)
    return tuple(dict.fromkeys(found))


def _finders_before(output: ir.Value) -> list[ir.Node]:
    """Return the finders that an output is made with, without those that they read from in turn."""
    found, seen, open_values = list[ir.Node](), set[ir.Value](), [output]
    while open_values:
        value = open_values.pop()
        node = value.producer()
        if node is None or value in seen:
            continue
        seen.update(node.outputs)
        if kind(node) in FINDERS:
            found.append(node)
        else:
            open_values += [read for read in reversed(node.inputs) if read is not None]
    return found


def _numbers_before(finder: ir.Node) -> list[ir.Value]:
    """Return the nearest floating-point values that a finder reads or that its inputs are made from; no constants."""
    found, open_values = dict[ir.Value, None](), [read for read in finder.inputs if read is not None]
    while open_values:
        value = open_values.pop(0)
        node = value.producer()
        if node is None or kind(node) == "Constant":
            continue
        if value.dtype is not None and value.dtype.is_floating_point():
            found[value] = None
        else:
            open_values += [read for read in node.inputs if read is not None]
    return list(found)
