"""Steps that PyTorch has one kernel for: spelled-out attention and GELU run as one where nothing between is asked for.

The graph stays as it is; only a program is made shorter. What is fused says the same to rounding, costs less time and
keeps fewer values for the backward pass. One difference is let stand: a row that a mask computed at run time hides
wholly comes out as zeros, where the spelled-out form divides zero by zero. To look for such rows would cost each run a
pass over the mask.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel
from engine.execution.step import Step


@dataclass(frozen=True)
class _Found:
    """A run of steps that one takes the place of, at the place of the last of them."""

    steps: tuple[Step, ...]
    fused: Step


class _Flow:
    """Who makes and who reads each place; a place that is asked for is never between two steps."""

    def __init__(self, steps: Sequence[Step], asked: set[int]) -> None:
        self._maker = {place: step for step in steps for place in step.writes}
        self._reads = Counter(place for step in steps for place in step.reads)
        self._readers: dict[int, list[Step]] = {}
        for step in steps:
            for place in set(step.reads):
                self._readers.setdefault(place, []).append(step)
        self._asked = asked

    def maker(self, place: int, *op_types: str) -> Step | None:
        """Return the step that makes a place for one reader alone, if it is one of these operators."""
        step = self._maker.get(place)
        alone = self._reads[place] == 1 and place not in self._asked
        return step if step is not None and alone and step.node.op_type in op_types else None

    def reader(self, place: int, op_type: str) -> Step | None:
        """Return the only step that reads a place, if it is this operator."""
        readers = self._readers.get(place, [])
        alone = self._reads[place] == 1 and place not in self._asked
        return readers[0] if alone and readers[0].node.op_type == op_type else None


def fuse(steps: Sequence[Step], asked: set[int]) -> list[Step]:
    """Return the steps, in order, with those replaced that one kernel can do. `asked` are the places to be kept."""
    flow, found = _Flow(steps, asked), []
    for step in steps:
        match = PATTERNS[step.node.op_type](flow, step) if step.node.op_type in PATTERNS else None
        if match is not None:
            found.append(match)
    gone = {id(step) for match in found for step in match.steps}
    instead = {id(match.steps[-1]): match.fused for match in found}
    return [instead.get(id(step), step) for step in steps if id(step) in instead or id(step) not in gone]


def _attention(flow: _Flow, softmax: Step) -> _Found | None:
    """Match softmax(q @ k * scale + mask) @ v, with or without scale and mask."""
    axis = int(softmax.node.get("axis", -1 if softmax.node.opset >= 13 else 1))
    last = flow.reader(softmax.writes[0], "MatMul")
    if axis not in (-1, 3) or last is None or last.reads[0] != softmax.writes[0]:
        return None
    steps, place, scale = [softmax, last], softmax.reads[0], 1.0
    mask: tuple[int, ...] = ()
    added = flow.maker(place, "Add")
    if added is not None:
        product = next((place for place in added.reads if flow.maker(place, "MatMul", "Mul", "Div")), None)
        if product is None:
            return None
        at = 1 - added.reads.index(product)
        if _hides_a_row(added.node.constants[at]):
            return None
        mask = (added.reads[at],)
        steps, place = [added, *steps], product
    scaled = flow.maker(place, "Mul", "Div")
    if scaled is not None:
        factor, other = _factor(scaled)
        if factor is None:
            return None
        steps, place, scale = [scaled, *steps], other, factor
    scores = flow.maker(place, "MatMul")
    if scores is None:
        return None
    reads = (*scores.reads, last.reads[1], *mask)
    return _Found((scores, *steps), Step(_attend(scale, softmax.kernel), reads, last.writes, last.node))


def _factor(step: Step) -> tuple[float | None, int]:
    """Return by what lone number a Mul or Div multiplies, and the place of what it multiplies."""
    for index in (1, 0) if step.node.op_type == "Mul" else (1,):
        number = _number(step, index)
        if number:
            return (number if step.node.op_type == "Mul" else 1 / number), step.reads[1 - index]
    return None, -1


def _number(step: Step, index: int) -> float | None:
    """Return a lone number; one of more than one axis is none, as it can give what it meets more axes."""
    constant = step.node.constants[index]
    return float(constant) if constant is not None and constant.numel() == 1 and constant.dim() <= 1 else None


def _hides_a_row(mask: Tensor | None) -> bool:
    """Say whether softmax has nothing to share out in some row: that is undefined, and must stay so."""
    return mask is not None and bool(mask.isneginf().all(-1).any())


def _attend(scale: float, softmax: Kernel) -> Kernel:
    def run(q: Tensor, k_across: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        mask = None if mask is None else mask.to(q.device)
        if q.dim() != 4 or not q.shape[:2] == k_across.shape[:2] == v.shape[:2] or not _fits(mask, q, k_across):
            scores = q @ k_across * scale
            shares: Tensor = softmax(scores if mask is None else scores + mask)
            return shares @ v
        q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k_across.transpose(2, 3), v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

    return run


def _fits(mask: Tensor | None, q: Tensor, k_across: Tensor) -> bool:
    """Say whether PyTorch's kernel takes the mask: one that it need not learn and that makes the scores no larger."""
    if mask is None:
        return True
    learns = mask.requires_grad and torch.is_grad_enabled()
    scores = (*q.shape[:3], k_across.shape[3])
    spread = all(ours in (1, theirs) for ours, theirs in zip(reversed(mask.shape), reversed(scores), strict=False))
    return not learns and mask.dim() <= 4 and spread


def _gelu(flow: _Flow, erf: Step) -> _Found | None:
    """Match x * 0.5 * (1 + erf(x / sqrt 2)), the half wherever it stands."""
    inner = flow.maker(erf.reads[0], "Mul", "Div")
    added = flow.reader(erf.writes[0], "Add")
    if inner is None or added is None or 1.0 not in (_number(added, 0), _number(added, 1)):
        return None
    factor, x = _factor(inner)
    if factor is None or not math.isclose(factor, math.sqrt(0.5), rel_tol=1e-6):
        return None
    steps = [inner, erf, added]
    first = flow.reader(added.writes[0], "Mul")
    before = flow.maker(_other(first, added.writes[0]), "Mul") if first is not None else None
    if first is not None and before is not None and _factor(before) == (0.5, x):
        return _Found(
            (before, *steps, first), Step(_gelu_kernel((*steps, before, first)), (x,), first.writes, first.node)
        )
    second = flow.reader(first.writes[0], "Mul") if first is not None else None
    if first is None or second is None:
        return None
    by_half = [_factor(first)[0] == 0.5, _factor(second)[0] == 0.5]
    by_x = [_other(first, added.writes[0]) == x, _other(second, first.writes[0]) == x]
    if not (by_half == [True, False] and by_x[1]) and not (by_half == [False, True] and by_x[0]):
        return None
    return _Found(
        (*steps, first, second), Step(_gelu_kernel((*steps, first, second)), (x,), second.writes, second.node)
    )


def _gelu_kernel(steps: Sequence[Step]) -> Kernel:
    """A number in a list makes a list of a scalar."""
    listed = any(constant is not None and constant.dim() for step in steps for constant in step.node.constants)
    return _gelu_of_a_list if listed else F.gelu


def _gelu_of_a_list(x: Tensor) -> Tensor:
    return F.gelu(torch.atleast_1d(x))  # type: ignore[no-untyped-call]  # torch ships no types here


def _other(product: Step, place: int) -> int:
    """Return what a product of two multiplies a place by; the place itself where it squares it."""
    return product.reads[1 - product.reads.index(place)]


PATTERNS: dict[str, Callable[[_Flow, Step], _Found | None]] = {"Softmax": _attention, "Erf": _gelu}
"""What may be fused, by the operator that a run of steps is known by."""
