"""Rung 3: pictures changed by gradient until the network sees a class in them however they are shown to it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.data.images import ImageSet
from engine.data.rungs.pixels import Pixels, reshape_by_gradient
from engine.data.rungs.procedural import draw
from engine.data.rungs.wishes import class_loss, patch_entropy, roughness, soft_labels
from engine.data.site import Site
from engine.execution.executor import Executor
from engine.graph.model import Model

STEPS = 300
SHOWINGS = 2
"""How many ways each image is shown in each step; the gradient is that of their mean."""
COLOUR_SHIFT = 0.3  # of the images' deviation, either way
ZOOM_AT_START = 0.6
"""The part of the sides that is seen at first; all of it from the middle of the steps on."""
ENTROPY_WEIGHT = 1.0
ROUGHNESS_WEIGHT = 0.05
TOKENS_LEAST = 4
VALUES_MOST = 8
"""Of the values of tokens whose entropy is asked for, evenly over the depth."""


def imagine(site: Site, real: ImageSet, count: int) -> ImageSet:
    """Return images that start as drawn pictures and move towards a class, seen through changes of place and colour.

    Needs no statistics, so it fits transformers and networks without norms. Where the network has tokens, images whose
    patches differ as those of photographs do are preferred. A third of the images stays as drawn.
    Ghiasi et al., "Plug-In Inversion: Model-Agnostic Inversion for Vision", ICML 2022. arXiv:2201.12961
    """
    drawn = draw(site, real, count)
    wish = _Wish(site, Executor(site.model, site.device))
    changed = reshape_by_gradient(site, drawn, wish, steps=STEPS)
    return ImageSet(changed.inputs, None, changed.names, notes=(*drawn.notes, *changed.notes))


def token_values(model: Model) -> list[str]:
    """Return the sums that are tokens, (count, tokens, width): what each block of a transformer leaves."""
    sums = []
    for node in model.graph:
        shape = node.outputs[0].shape
        if node.op_type == "Add" and shape is not None and len(shape) == 3 and _many(shape[1]):
            sums.append(str(node.outputs[0].name))
    stride = max(1, -(-len(sums) // VALUES_MOST))
    return sums[::-1][::stride][::-1]


def _many(size: object) -> bool:
    return isinstance(size, int) and size >= TOKENS_LEAST


class _Wish:
    """What a batch should be: of a class through every showing, of patches that differ, and smooth."""

    def __init__(self, site: Site, network: Executor) -> None:
        self._network, self._logits = network.requires_grad_(False), site.features.logits
        self._input, self._is_last = site.model_input.name, site.preprocess.layout == "NHWC"
        self._tokens = token_values(site.model)

    def begin(self, pixels: Pixels, generator: torch.Generator) -> None:
        self._generator = generator
        with torch.no_grad():
            said = self._network({self._input: pixels.inputs()}, fetch=list(self._logits))
        self._wanted = [soft_labels(said[name].shape[1], len(said[name]), generator) for name in self._logits]

    def loss(self, inputs: Tensor, done: float) -> Tensor:
        """Return the mean over the showings; `done` opens the view from the centre outwards."""
        total = ROUGHNESS_WEIGHT * roughness(inputs)
        for _ in range(SHOWINGS):
            total = total + self._of_one(self._shown(inputs, done)) / SHOWINGS
        return total

    def _of_one(self, inputs: Tensor) -> Tensor:
        said = self._network({self._input: inputs}, fetch=[*self._logits, *self._tokens])
        total = torch.zeros((), device=inputs.device)
        for name, wanted in zip(self._logits, self._wanted, strict=True):
            total = total + class_loss(said[name], wanted)
        for name in self._tokens:
            total = total - ENTROPY_WEIGHT * patch_entropy(said[name]) / len(self._tokens)
        return total

    def _shown(self, inputs: Tensor, done: float) -> Tensor:
        """Zoom into the centre, shift and stretch the colours of each image."""
        images = inputs.permute(0, 3, 1, 2) if self._is_last else inputs
        images = _zoomed(images, min(1.0, ZOOM_AT_START + 2 * done * (1 - ZOOM_AT_START)))
        shape = (len(images), images.shape[1], 1, 1)
        spread = images.detach().std()
        gain = 1 + COLOUR_SHIFT * (2 * torch.rand(shape, generator=self._generator) - 1)
        shift = COLOUR_SHIFT * (2 * torch.rand(shape, generator=self._generator) - 1)
        images = images * gain.to(images.device) + spread * shift.to(images.device)
        return images.permute(0, 2, 3, 1) if self._is_last else images


def _zoomed(images: Tensor, part: float) -> Tensor:
    height, width = images.shape[2:]
    rows, columns = max(round(part * height), 1), max(round(part * width), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    seen = images[:, :, top : top + rows, left : left + columns]
    return functional.interpolate(seen, size=(height, width), mode="bilinear", align_corners=False)
