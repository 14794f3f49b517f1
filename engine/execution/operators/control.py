"""Branches and loops: nodes that hold graphs, which also read what stands outside of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from engine.execution.body import Body
from engine.execution.node import Kernel, NodeView, as_integers

TURNS_MAX = 1 << 20
"""No network goes round more often; a file that asks for more is broken or means harm."""

_Apart = Callable[..., tuple[tuple[Any, ...], Mapping[str, Tensor]]]


def _apart(node: NodeView) -> _Apart:
    """Return what parts a node's values into its own inputs and those that its graphs capture, by name."""
    count, names = len(node.constants), node.captured

    def part(*values: Any) -> tuple[tuple[Any, ...], Mapping[str, Tensor]]:
        return values[:count], dict(zip(names, values[count:], strict=True))

    return part


def _given(node: NodeView, results: list[Tensor]) -> Any:
    return results[0] if node.output_count == 1 else tuple(results)


def if_(node: NodeView) -> Kernel:
    part, then, otherwise = _apart(node), node.get("then_branch"), node.get("else_branch")

    def run(*values: Any) -> Any:
        (condition,), outside = part(*values)
        branch: Body = then if bool(condition) else otherwise
        return _given(node, list(branch((), outside)))

    return run


def loop(node: NodeView) -> Kernel:
    """Take (most turns, condition, states...) and give the last states and, of each turn, whatever else it says."""
    part, body = _apart(node), node.get("body")
    states = len(node.constants) - 2

    def run(*values: Any) -> Any:
        (most, going, *state), outside = part(*values)
        turns = None if most is None else as_integers(most)[0]
        said: list[tuple[Tensor, ...]] = []
        while (going is None or bool(going)) and (turns is None or len(said) < turns):
            if len(said) == TURNS_MAX:
                raise node.refuse(f"more than {TURNS_MAX} turns")
            going, *rest = body((torch.tensor(len(said)), torch.tensor(True), *state), outside)
            state, told = rest[:states], tuple(rest[states:])
            said.append(told)
        rows = [[told[i] for told in said] for i in range(node.output_count - states)]
        return _given(node, [*state, *(body.stack(1 + states + i, row) for i, row in enumerate(rows))])

    return run


def scan(node: NodeView) -> Kernel:
    """Go along the scanned inputs, one slice a turn; states pass from turn to turn, what is said is stacked."""
    if node.opset < 9:
        raise node.refuse("the batch axis that it had before opset 9")
    part, body, scanned = _apart(node), node.get("body"), int(node.get("num_scan_inputs"))
    states = len(node.constants) - scanned
    axes, backwards = node.get("scan_input_axes", (0,) * scanned), node.get("scan_input_directions", (0,) * scanned)

    def run(*values: Any) -> Any:
        given, outside = part(*values)
        state = list(given[:states])
        slices = [
            tensor.unbind(axis)[::-1] if turned else tensor.unbind(axis)
            for tensor, axis, turned in zip(given[states:], axes, backwards, strict=True)
        ]
        said = []
        for turn in zip(*slices, strict=True):
            found = body((*state, *turn), outside)
            state = list(found[:states])
            said.append(found[states:])
        rows = [[told[i] for told in said] for i in range(node.output_count - states)]
        return _given(node, [*state, *_stacked(node, body, states, rows)])

    return run


def _stacked(node: NodeView, body: Body, states: int, rows: list[list[Tensor]]) -> list[Tensor]:
    axes = node.get("scan_output_axes", (0,) * len(rows))
    backwards = node.get("scan_output_directions", (0,) * len(rows))
    return [body.stack(states + i, row[::-1] if backwards[i] else row, axes[i]) for i, row in enumerate(rows)]
