"""What detectors end in: the best boxes that do not overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView, as_integers


def non_max_suppression(node: NodeView) -> Kernel:
    """List (image, class, box) of the boxes kept, best first; what overlaps a better one too much goes."""
    centred = bool(node.get("center_point_box", 0))

    def run(
        boxes: Tensor,
        scores: Tensor,
        most: Tensor | None = None,
        overlap: Tensor | None = None,
        threshold: Tensor | None = None,
    ) -> Tensor:
        count = 0 if most is None else as_integers(most)[0]
        limit = 0.0 if overlap is None else overlap.item()
        found = []
        for image in range(scores.shape[0]):
            shared = _overlaps(boxes[image].detach(), centred) > limit
            for kind in range(scores.shape[1]):
                of_class = scores[image, kind].detach()
                candidates = of_class.argsort(descending=True, stable=True)
                if threshold is not None:
                    candidates = candidates[of_class[candidates] > threshold.item()]
                found += [(image, kind, box) for box in _keep(candidates, shared, count)]
        return torch.tensor(found, dtype=torch.int64).reshape(-1, 3)

    return run


def _overlaps(boxes: Tensor, centred: bool) -> Tensor:
    """Return the area that each two boxes share over the area that they cover together, (boxes, boxes)."""
    if centred:
        x, y, width, height = boxes.unbind(1)
        low, high = torch.stack([x - width / 2, y - height / 2]), torch.stack([x + width / 2, y + height / 2])
    else:
        first, second = boxes[:, :2].t(), boxes[:, 2:].t()  # any two opposite corners
        low, high = torch.minimum(first, second), torch.maximum(first, second)
    area = (high - low).prod(dim=0)
    shared = torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(low[:, :, None], low[:, None])
    inner = shared.clamp(min=0).prod(dim=0)
    together = area[:, None] + area - inner
    return torch.where(together > 0, inner / together, torch.zeros_like(inner))


def _keep(candidates: Tensor, shared: Tensor, count: int) -> list[int]:
    """Go through the boxes from the best; each one kept strikes out those that it overlaps."""
    free = torch.ones(shared.shape[0], dtype=torch.bool, device=shared.device)
    kept: list[int] = []
    for box in candidates.tolist():
        if len(kept) == count:
            break
        if free[box]:
            kept.append(box)
            free &= ~shared[box]
    return kept
