"""What all networks here have in common: features before pooling, a head after it, and blocks that may be dropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Droppable:
    """A block whose shortcut is the identity, and the convolutions of its stage that write to and read from the stream.

    All are paths of submodules. Neither the block's own convolutions nor the stream itself are among them.
    """

    block: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]


class Network(nn.Module, ABC):
    """A classifier of images (batch, 3, height, width) into logits (batch, classes)."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return the last feature map, (batch, channels, height, width)."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of the features' mean over positions."""

    def droppables(self) -> Sequence[Droppable]:
        """Name the blocks that may be dropped, from input to output; () where no block has an identity shortcut."""
        return ()

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images))


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm, activation; padding None is half of the kernel, on all sides."""

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] | None = nn.ReLU,
        padding: tuple[int, int, int, int] | None = None,
    ) -> None:
        super().__init__()
        if padding is not None:
            self.add_module("pad", nn.ZeroPad2d(padding))
        inside = kernel // 2 if padding is None else 0
        self.add_module("conv", nn.Conv2d(channels, filters, kernel, stride, inside, groups=groups, bias=False))
        self.add_module("norm", nn.BatchNorm2d(filters))
        if activation is not None:
            self.add_module("activation", activation())
