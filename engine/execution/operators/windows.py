"""Sliding windows: strides, dilations and the paddings that convolutions and poolings share."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import NodeView

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """How a kernel moves. Empty tuples mean ONNX's defaults: stride 1, dilation 1, padding 0.

    `pads` is ONNX's order: all begins, then all ends.
    """

    strides: Sizes
    dilations: Sizes
    pads: Sizes
    auto_pad: str
    ceil: bool

    @classmethod
    def of(cls, node: NodeView) -> Window:
        return cls(
            strides=tuple(node.get("strides", ())),
            dilations=tuple(node.get("dilations", ())),
            pads=tuple(node.get("pads", ())),
            auto_pad=node.get("auto_pad", "NOTSET") or "NOTSET",
            ceil=bool(node.get("ceil_mode", 0)),
        )

    def strides_for(self, rank: int) -> Sizes:
        return self.strides or (1,) * rank

    def dilations_for(self, rank: int) -> Sizes:
        return self.dilations or (1,) * rank

    def pads_for(self, rank: int) -> Sizes:
        return self.pads if self.pads and self.auto_pad == "NOTSET" else (0,) * (2 * rank)

    def resolve_pads(self, sizes: Sizes, kernel: Sizes) -> Sizes:
        """Return begins and ends for these input sizes, with SAME_UPPER and SAME_LOWER worked out."""
        rank = len(kernel)
        if not self.auto_pad.startswith("SAME"):
            return self.pads_for(rank)
        begins, ends = [], []
        for size, k, stride, dilation in zip(
            sizes, kernel, self.strides_for(rank), self.dilations_for(rank), strict=True
        ):
            reach = (k - 1) * dilation + 1
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            begin = total // 2 if self.auto_pad == "SAME_UPPER" else total - total // 2
            begins.append(begin)
            ends.append(total - begin)
        return (*begins, *ends)

    def pad(self, x: Tensor, kernel: Sizes, *, value: float) -> tuple[Tensor, Sizes]:
        """Return the input and the symmetric padding left to do: what is not symmetric is done here and now."""
        rank = len(kernel)
        pads = self.resolve_pads(tuple(x.shape[2:]), kernel)
        if pads[:rank] == pads[rank:] and min(pads) >= 0:
            return x, pads[:rank]
        return F.pad(x, torch_pads(pads), value=value), (0,) * rank

    def output_sizes(self, sizes: Sizes, kernel: Sizes, pads: Sizes) -> Sizes:
        """Return the sizes of a pooling's output: a last window that starts beyond the padded input is left out."""
        rank = len(kernel)
        result = []
        for i in range(rank):
            stride, reach = self.strides_for(rank)[i], (kernel[i] - 1) * self.dilations_for(rank)[i] + 1
            span = sizes[i] + pads[i] + pads[rank + i] - reach
            steps = -(-span // stride) if self.ceil else span // stride
            if self.ceil and steps * stride >= sizes[i] + pads[i]:
                steps -= 1
            result.append(steps + 1)
        return tuple(result)


def torch_pads(pads: Sizes) -> list[int]:
    """Turn ONNX's begins and ends, first axis first, into PyTorch's pairs, last axis first."""
    rank = len(pads) // 2
    pairs: list[int] = []
    for i in reversed(range(rank)):
        pairs += [pads[i], pads[rank + i]]
    return pairs
