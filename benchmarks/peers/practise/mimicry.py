"""A student learns to give its teacher's last feature map: PRACTISE's one way of training, for adapters and for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as pictures

from benchmarks.networks.network import Network
from benchmarks.networks.pictures import vary

SMALL_SIDE = 32
SHIFT = 4


@dataclass(frozen=True)
class Sgd:
    """As published. `drops` are shares of the steps after which the rate is a tenth of what it was."""

    rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    drops: tuple[float, ...] = (0.4, 0.8)
    batch: int = 64


PUBLISHED = Sgd()


@dataclass(frozen=True)
class Images:
    """Preprocessed images, (count, 3, height, width) float32, at least `side` wide; the network takes `side`."""

    inputs: Tensor
    side: int

    def plain(self) -> Tensor:
        """Return the middle of each."""
        middle: Tensor = pictures.center_crop(self.inputs, [self.side, self.side])
        return middle

    def views(self, chosen: Tensor) -> Tensor:
        """Return random views: resized crops and flips; of tiny images, shifts by up to four pixels and flips."""
        inputs = self.inputs[chosen]
        if self.side <= SMALL_SIDE:
            return vary(inputs, SHIFT, torch.default_generator)
        return torch.stack([self._resized_crop(image) for image in inputs])

    def _resized_crop(self, image: Tensor) -> Tensor:
        top, left, height, width = RandomResizedCrop.get_params(image, scale=[0.08, 1.0], ratio=[3 / 4, 4 / 3])
        size = [self.side, self.side]
        view: Tensor = pictures.resized_crop(
            image, top, left, height, width, size, InterpolationMode.BILINEAR, antialias=True
        )
        return view.flip(2) if torch.rand(()) < 0.5 else view


def mimic(
    teacher: Network, student: Network, parameters: Iterable[nn.Parameter], images: Images, steps: int, how: Sgd
) -> None:
    """Train `parameters` of the student in place, in the mode that it is in; random numbers are torch's own."""
    optimiser = torch.optim.SGD(list(parameters), how.rate, momentum=how.momentum, weight_decay=how.weight_decay)
    drops = [int(share * steps) for share in how.drops]
    rates = torch.optim.lr_scheduler.MultiStepLR(optimiser, drops, gamma=0.1)
    batches = _batches(len(images.inputs), how.batch)
    for _ in range(steps):
        views = images.views(next(batches)).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = teacher.features(views)
        optimiser.zero_grad()
        functional.mse_loss(student.features(views), wanted).backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        optimiser.step()
        rates.step()


def remaining_error(teacher: Network, student: Network, images: Images, batch: int = 50) -> float:
    """Return the mean squared error of the features of the plain images, both networks in evaluation mode."""
    total = 0.0
    student.eval()
    with torch.inference_mode():
        for part in torch.split(images.plain().contiguous(memory_format=torch.channels_last), batch):
            total += float(functional.mse_loss(student.features(part), teacher.features(part))) * len(part)
    return total / len(images.inputs)


def _batches(count: int, size: int) -> Iterator[Tensor]:
    """Yield shuffled indices for ever; a rest that fills no batch is left out, unless there is no more than a rest."""
    size = min(size, count)
    while True:
        order = torch.randperm(count)
        yield from torch.split(order[: count - count % size], size)
