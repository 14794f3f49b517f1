"""Images that gradients change, batch by batch, within what 8-bit pictures can hold and within the time."""

from __future__ import annotations

import math
import time
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.data.images import ImageSet, Inputs
from engine.data.preprocess import prepare
from engine.data.site import Site
from engine.input_form import input_form

BATCH = 32
CHANGED_PART = 2 / 3
"""Of a set; the rest stays as it was drawn."""
COARSE_PART = 2 / 3
"""Of the steps: so long each pixel that is learnt is two by two pixels of the image."""
RATE = 0.1
BETAS = (0.5, 0.9)
JITTER = 0.125  # of the side


class Wish(Protocol):
    """What a batch of images should be; `begin` is called once a batch, `loss` once a step with 0 <= done < 1."""

    def begin(self, pixels: Pixels, generator: torch.Generator) -> None: ...

    def loss(self, inputs: Tensor, done: float) -> Tensor: ...


class Pixels:
    """One batch while it is learnt: coarse first, then at full size; laid out as the network takes it."""

    def __init__(self, start: Inputs, bounds: tuple[Inputs, Inputs], site: Site) -> None:
        device = torch.device(site.device)
        self._is_last = _is_last(site)
        self._low, self._high = (
            self._first(torch.from_numpy(bound)[None].to(device))[:, :, :1, :1] for bound in bounds
        )
        whole = self._first(torch.from_numpy(start).to(device))
        self._size = (int(whole.shape[2]), int(whole.shape[3]))
        self.is_coarse = min(self._size) >= 8
        half = (self._size[0] // 2, self._size[1] // 2)
        self._learnt = functional.interpolate(whole, size=half, mode="area") if self.is_coarse else whole.clone()
        self._restart()

    def refine(self) -> None:
        """Go on at full size."""
        if self.is_coarse:
            self._learnt, self.is_coarse = self._whole().detach(), False
            self._restart()

    def inputs(self) -> Tensor:
        """Return the images as the network takes them."""
        whole = self._whole()
        return whole.permute(0, 2, 3, 1) if self._is_last else whole

    def jittered(self, generator: torch.Generator) -> Tensor:
        """Return them moved by up to an eighth of the sides, round the borders, and every second time flipped."""
        whole = self._whole()
        moves = [int(torch.randint(-reach, reach + 1, (1,), generator=generator)) for reach in self._reaches()]
        whole = torch.roll(whole, moves, dims=(2, 3))
        if torch.rand(1, generator=generator) < 0.5:
            whole = whole.flip(3)
        return whole.permute(0, 2, 3, 1) if self._is_last else whole

    def step(self, loss: Tensor, rate: float) -> None:
        """Move by Adam (Kingma and Ba, 2015), and back into what pictures can hold."""
        (gradient,) = torch.autograd.grad(loss, self._learnt)
        self._steps += 1
        with torch.no_grad():
            self._mean.lerp_(gradient, 1 - BETAS[0])
            self._square.lerp_(gradient.square(), 1 - BETAS[1])
            mean = self._mean / (1 - BETAS[0] ** self._steps)
            square = self._square / (1 - BETAS[1] ** self._steps)
            self._learnt -= rate * mean / (square.sqrt() + 1e-8)
            self._learnt.clamp_(self._low, self._high)

    def _restart(self) -> None:
        self._learnt.requires_grad_(True)
        self._mean, self._square, self._steps = torch.zeros_like(self._learnt), torch.zeros_like(self._learnt), 0

    def _whole(self) -> Tensor:
        if not self.is_coarse:
            return self._learnt
        return functional.interpolate(self._learnt, size=self._size, mode="bilinear", align_corners=False)

    def _reaches(self) -> list[int]:
        return [int(side * JITTER) for side in self._size]

    def _first(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).contiguous() if self._is_last else images


def reshape_by_gradient(site: Site, start: ImageSet, wish: Wish, *, steps: int) -> ImageSet:
    """Return the set with two thirds of its images changed as `wish` wants, batch by batch, while time lasts.

    A batch that the time cuts short has learnt along the whole schedule, faster. Images whose turn never came stay as
    they were; the notes say how many were changed.
    """
    inputs, deadline = start.inputs.copy(), time.monotonic() + site.seconds
    bounds = _bounds(site, start)
    generator = torch.Generator().manual_seed(site.seed)
    wanted = round(CHANGED_PART * len(start))
    changed = np.random.default_rng(site.seed).permutation(len(start))[:wanted]
    batch = batch_of(site)
    batches = [changed[at : at + batch] for at in range(0, wanted, batch)]
    if batch != BATCH:  # the network's own: it takes no other
        batches = [rows for rows in batches if len(rows) == batch]
    done = 0
    for place, rows in enumerate(batches):
        left = deadline - time.monotonic()
        if left <= 0 and place:
            break
        pixels = Pixels(inputs[rows], bounds, site)
        _learn(pixels, wish, generator, steps, left / (len(batches) - place))
        inputs[rows] = pixels.inputs().detach().cpu().numpy()
        done += len(rows)
    return ImageSet(inputs, None, start.names, notes=(f"changed {done} of them by gradient",))


def _learn(pixels: Pixels, wish: Wish, generator: torch.Generator, steps: int, seconds: float) -> None:
    started = time.monotonic()
    wish.begin(pixels, generator)
    for step in range(steps):
        spent = (time.monotonic() - started) / seconds if seconds > 0 else 1.0
        done = max(step / steps, spent)
        if done >= 1 and step:
            break
        if done > COARSE_PART:
            pixels.refine()
        pixels.step(wish.loss(pixels.jittered(generator), done), RATE * (1 + math.cos(math.pi * min(done, 1.0))) / 2)
    pixels.refine()


def batch_of(site: Site) -> int:
    """Return how many images go through the network at once: its own fixed batch, or BATCH."""
    batch = site.model_input.shape[0]
    return batch if isinstance(batch, int) else BATCH


def _bounds(site: Site, images: ImageSet) -> tuple[Inputs, Inputs]:
    """Return one input of black and one of white, the lesser and the greater of each number."""
    exact = input_form(site.model_input, site.preprocess.model_copy(update={"resize": None, "crop": None}))
    height, width, channels = images.inputs.shape[1:] if _is_last(site) else np.roll(images.inputs.shape[1:], -1)
    black, white = (prepare(np.full((height, width, channels), end, np.uint8), exact, "bounds") for end in (0, 255))
    return np.minimum(black, white), np.maximum(black, white)


def _is_last(site: Site) -> bool:
    return site.preprocess.layout == "NHWC"
