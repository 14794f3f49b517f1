"""Frequencies: the discrete Fourier transform, whole or in frames, and the windows that frames are weighed with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView, as_integers


def dft(node: NodeView) -> Kernel:
    """The last axis holds real and imaginary part, or the real one alone; opset 20 made the axis an input."""
    inverse, onesided = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
    fixed = node.get("axis", 1 if node.opset < 20 else None)

    def run(x: Tensor, length: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
        dim = int(fixed) if fixed is not None else -2 if axis is None else as_integers(axis)[0]
        dim %= x.dim()
        count = None if length is None else as_integers(length)[0]
        return _transform(x, count, dim, inverse, onesided)

    return run


def _transform(x: Tensor, count: int | None, dim: int, inverse: bool, onesided: bool) -> Tensor:
    exact = x.double()  # sums of many terms, few of which remain
    signal = exact[..., 0] if x.shape[-1] == 1 else torch.view_as_complex(exact.contiguous())
    if inverse and onesided:
        real: Tensor = torch.fft.irfft(signal, count, dim)
        return real.unsqueeze(-1).to(x.dtype)
    if inverse:
        return torch.view_as_real(torch.fft.ifft(signal, count, dim)).to(x.dtype)
    spectrum = torch.fft.fft(signal, count, dim)
    spectrum = spectrum.narrow(dim, 0, spectrum.shape[dim] // 2 + 1) if onesided else spectrum
    return torch.view_as_real(spectrum).to(x.dtype)


def stft(node: NodeView) -> Kernel:
    onesided = bool(node.get("onesided", 1))

    def run(x: Tensor, step: Tensor, window: Tensor | None = None, length: Tensor | None = None) -> Tensor:
        x = x.unsqueeze(-1) if x.dim() == 2 else x  # (batch, samples, 1 or 2)
        size = as_integers(length)[0] if length is not None else x.shape[1] if window is None else len(window)
        frames = x.unfold(1, size, as_integers(step)[0]).transpose(2, 3)  # (batch, frames, size, 1 or 2)
        frames = frames if window is None else frames * window.to(frames)[:, None]
        return _transform(frames, None, 2, inverse=False, onesided=onesided)

    return run


def cosine_window(*shares: float) -> Callable[[NodeView], Kernel]:
    """Make the builder of a window that is a sum of cosines: share 0, less share 1 of one turn, plus share 2 of two."""

    def build(node: NodeView) -> Kernel:
        periodic, target = bool(node.get("periodic", 1)), node.get("output_datatype", torch.float32)

        def run(size: Any) -> Tensor:
            count = as_integers(size)[0]
            turn = torch.arange(count, dtype=torch.float64) * (2 * math.pi / (count if periodic else count - 1))
            parts = [(-1) ** k * share * torch.cos(k * turn) for k, share in enumerate(shares)]
            return torch.stack(parts).sum(dim=0).to(target)

        return run

    return build
