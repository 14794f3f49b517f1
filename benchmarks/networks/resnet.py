"""He's residual networks for 32 x 32 images: three stages of basic blocks, shortcuts without parameters.

He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2, option A. Names are those of the state
dicts that are around: conv1, bn1, layer1.0.conv1, ..., linear.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from benchmarks.networks.network import Droppable, Network

WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut that takes every second pixel and pads the channels with zeros."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride = stride
        self.missing = (filters - channels) // 2

    def forward(self, inputs: Tensor) -> Tensor:
        branch = functional.relu(self.bn1(self.conv1(inputs)))
        return functional.relu(self.bn2(self.conv2(branch)) + self._shortcut(inputs))

    def _shortcut(self, inputs: Tensor) -> Tensor:
        if self.stride == 1 and not self.missing:
            return inputs
        return functional.pad(inputs[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.missing, self.missing))


class ResNet(Network):
    """Depth 6n + 2 with n blocks a stage: 3 make ResNet-20, 9 make ResNet-56."""

    def __init__(self, blocks: int, classes: int = 10, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.blocks = blocks
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = _stage(widths[0], widths[0], blocks, 1)
        self.layer2 = _stage(widths[0], widths[1], blocks, 2)
        self.layer3 = _stage(widths[1], widths[2], blocks, 2)
        self.linear = nn.Linear(widths[2], classes)

    def features(self, images: Tensor) -> Tensor:
        stream = functional.relu(self.bn1(self.conv1(images)))
        features: Tensor = self.layer3(self.layer2(self.layer1(stream)))
        return features

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits

    def droppables(self) -> tuple[Droppable, ...]:
        """Name all blocks but the first of each stage; there are no downsampling convolutions to be neighbours."""
        return tuple(self._droppable(stage, block) for stage in (1, 2, 3) for block in range(1, self.blocks))

    def _droppable(self, stage: int, block: int) -> Droppable:
        readers = [f"layer{stage}.{later}.conv1" for later in range(block + 1, self.blocks)]
        readers += [f"layer{stage + 1}.0.conv1"] if stage < len(WIDTHS) else []
        return Droppable(
            block=f"layer{stage}.{block}",
            writers=tuple(f"layer{stage}.{earlier}.conv2" for earlier in range(block)),
            readers=tuple(readers),
        )


def _stage(channels: int, filters: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels, filters, stride)
    return nn.Sequential(first, *(BasicBlock(filters, filters, 1) for _ in range(blocks - 1)))
