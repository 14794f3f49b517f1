"""Rung 2: pictures changed by gradient until the network sees a class in them, and its own statistics inside."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.data.images import ImageSet
from engine.data.rungs.channel_statistics import ChannelStatistics, find_statistics
from engine.data.rungs.pixels import Pixels, batch_of, reshape_by_gradient
from engine.data.rungs.procedural import draw
from engine.data.rungs.wishes import class_loss, roughness, soft_labels
from engine.data.site import Site
from engine.execution.executor import Executor

STEPS = 300
"""Of each batch; two thirds of them at half resolution, where large shapes form quickly."""
STATISTICS_WEIGHT = 1.0
ROUGHNESS_WEIGHT = 0.05
POWER_WEIGHT = 1e-3


def invert(site: Site, real: ImageSet, count: int) -> ImageSet:
    """Return images that start as drawn pictures and move towards a class and towards the network's statistics.

    The statistics are those of batch norms that were not folded away. Where there are none they are measured behind
    each convolution, on the user's images or, without any, on the drawn ones. A third of the images stays as drawn:
    degenerate textures cannot take over the set.
    Yin et al., "Dreaming to Distill", CVPR 2020. arXiv:1912.08795
    """
    drawn = draw(site, real, count)
    network = Executor(site.model, site.device)
    statistics = find_statistics(network, real if len(real) else drawn, batch_of(site), torch.device(site.device))
    wish = _Wish(site, network, statistics)
    changed = reshape_by_gradient(site, drawn, wish, steps=STEPS)
    return ImageSet(changed.inputs, None, changed.names, notes=(*drawn.notes, *changed.notes, statistics.note))


class _Wish:
    """What a batch of inverted images should be, as a loss."""

    def __init__(self, site: Site, network: Executor, statistics: ChannelStatistics) -> None:
        self._network, self._statistics, self._logits = network.requires_grad_(False), statistics, site.features.logits
        self._input = site.model_input.name

    def begin(self, pixels: Pixels, generator: torch.Generator) -> None:
        """Draw what each image of a new batch shall show."""
        with torch.no_grad():
            said = self._network({self._input: pixels.inputs()}, fetch=list(self._logits))
        self._wanted = [soft_labels(said[name].shape[1], len(said[name]), generator) for name in self._logits]

    def loss(self, inputs: Tensor, done: float) -> Tensor:
        """Return one number: classes, statistics, smoothness and size of the numbers; less is better."""
        said = self._network({self._input: inputs}, fetch=[*self._logits, *self._statistics.targets])
        total = STATISTICS_WEIGHT * self._statistics.distance(said)
        for name, wanted in zip(self._logits, self._wanted, strict=True):
            total = total + class_loss(said[name], wanted)
        return total + ROUGHNESS_WEIGHT * roughness(inputs) + POWER_WEIGHT * inputs.square().mean()
