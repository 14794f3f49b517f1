"""What made images should show, each wish as a loss that gradients can follow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MAIN_SHARE = (0.6, 1.0)
"""How much of an image's label is its first class; the rest is a second one, as photographs of several things have."""


def soft_labels(classes: int, count: int, generator: torch.Generator) -> Tensor:
    """Return (count, classes): for each image a first and a second class; all classes come in turn, in random order."""
    rounds = -(-count // classes)
    first = torch.cat([torch.randperm(classes, generator=generator) for _ in range(rounds)])[:count]
    second = torch.randint(classes, (count,), generator=generator)
    share = torch.empty(count, 1).uniform_(*MAIN_SHARE, generator=generator)
    return share * functional.one_hot(first, classes) + (1 - share) * functional.one_hot(second, classes)


def class_loss(scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the cross-entropy to soft labels, of (count, classes) scores."""
    return -(wanted.to(scores.device) * functional.log_softmax(scores, dim=1)).sum(dim=1).mean()


def roughness(images: Tensor) -> Tensor:
    """Return the total variation of a batch of four axes: mean square of differences of neighbours."""
    down, right = images.diff(dim=2), images.diff(dim=3)
    return down.square().mean() + right.square().mean()


def patch_entropy(tokens: Tensor, levels: int = 10) -> Tensor:
    """Return the entropy, in nats, of how alike the tokens of an image are, averaged over (count, tokens, width).

    The density of their cosine similarities comes from a Gaussian kernel at `levels` points between -1 and 1. Noise
    has all similarities alike and a low entropy; things before a background have not.
    Li et al., "Patch Similarity Aware Data-Free Quantization for Vision Transformers", ECCV 2022. arXiv:2203.02250
    """
    unit = functional.normalize(tokens, dim=2)
    alike = (unit @ unit.transpose(1, 2)).flatten(1)  # (count, tokens, tokens) -> (count, tokens * tokens)
    points = torch.linspace(-1, 1, levels, device=tokens.device)
    width = 2 / (levels - 1)
    density = torch.exp(-0.5 * ((alike[:, :, None] - points) / width).square()).mean(dim=1) + 1e-12
    shares = density / density.sum(dim=1, keepdim=True)
    return -(shares * shares.log()).sum(dim=1).mean()
