"""Networks of inverted residual blocks with ReLU6: one like MobileNetV2 for 32 x 32 images, and EfficientNet-lite0.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018. Tan and Le, "EfficientNet", 2019; its
lite family has no squeeze-and-excitation and ReLU6 throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from benchmarks.networks.network import ConvNorm, Droppable, Network

Padding = tuple[int, int, int, int]


@dataclass(frozen=True)
class Stage:
    """`blocks` blocks of `width` channels; the first has the stride. Inside they are `expansion` times as wide."""

    expansion: int
    width: int
    blocks: int
    stride: int
    kernel: int = 3


@dataclass(frozen=True)
class Shape:
    """A whole network. `same_padding` pads strided convolutions below and on the right first, as TensorFlow does."""

    stem: int
    stem_stride: int
    stages: tuple[Stage, ...]
    head: int
    classes: int
    same_padding: bool = False


MOBILENET_LIKE = Shape(
    stem=16,
    stem_stride=1,
    stages=(Stage(2, 24, 1, 2), Stage(4, 24, 3, 1), Stage(4, 48, 5, 2), Stage(5, 64, 4, 1)),
    head=320,
    classes=10,
)
"""Ten of its thirteen blocks have an identity shortcut."""

LITE0 = Shape(
    stem=32,
    stem_stride=2,
    stages=(
        Stage(1, 16, 1, 1),
        Stage(6, 24, 2, 2),
        Stage(6, 40, 2, 2, 5),
        Stage(6, 80, 3, 2),
        Stage(6, 112, 3, 1, 5),
        Stage(6, 192, 4, 2, 5),
        Stage(6, 320, 1, 1),
    ),
    head=1280,
    classes=1000,
    same_padding=True,
)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes allow."""

    def __init__(self, channels: int, width: int, expansion: int, stride: int, kernel: int, padding: Padding | None):
        super().__init__()
        inside = channels * expansion
        self.width = width
        self.is_identity = stride == 1 and channels == width
        self.expand = ConvNorm(channels, inside, 1, activation=nn.ReLU6) if expansion > 1 else None
        self.depthwise = ConvNorm(inside, inside, kernel, stride, inside, nn.ReLU6, padding)
        self.project = ConvNorm(inside, width, 1, activation=None)

    def forward(self, inputs: Tensor) -> Tensor:
        inside = inputs if self.expand is None else self.expand(inputs)
        outputs: Tensor = self.project(self.depthwise(inside))
        return inputs + outputs if self.is_identity else outputs


class InvertedResiduals(Network):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        padding = _padding(3, shape.stem_stride, shape.same_padding)
        self.stem = ConvNorm(3, shape.stem, 3, shape.stem_stride, activation=nn.ReLU6, padding=padding)
        self.blocks = nn.Sequential(*_blocks(shape))
        self.head = ConvNorm(shape.stages[-1].width, shape.head, 1, activation=nn.ReLU6)
        self.linear = nn.Linear(shape.head, shape.classes)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.head(self.blocks(self.stem(images)))
        return features

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits

    def droppables(self) -> tuple[Droppable, ...]:
        blocks = self._blocks()
        return tuple(self._droppable(index) for index, block in enumerate(blocks) if block.is_identity)

    def _droppable(self, index: int) -> Droppable:
        return Droppable(
            block=f"blocks.{index}", writers=tuple(self._writers(index)), readers=tuple(self._readers(index))
        )

    def _writers(self, index: int) -> Iterator[str]:
        """Walk back while the width is the same."""
        blocks = self._blocks()
        for earlier in range(index - 1, -1, -1):
            if blocks[earlier].width != blocks[index].width:
                return
            yield f"blocks.{earlier}.project.conv"

    def _readers(self, index: int) -> Iterator[str]:
        """Walk forward up to and including the first block of another width; the head is the last."""
        blocks = self._blocks()
        for later in range(index + 1, len(blocks)):
            yield f"blocks.{later}.expand.conv"
            if blocks[later].width != blocks[index].width:
                return
        yield "head.conv"

    def _blocks(self) -> list[InvertedResidual]:
        return [block for block in self.blocks if isinstance(block, InvertedResidual)]


def _blocks(shape: Shape) -> Iterator[InvertedResidual]:
    channels = shape.stem
    for stage in shape.stages:
        for number in range(stage.blocks):
            stride = stage.stride if number == 0 else 1
            padding = _padding(stage.kernel, stride, shape.same_padding)
            yield InvertedResidual(channels, stage.width, stage.expansion, stride, stage.kernel, padding)
            channels = stage.width


def _padding(kernel: int, stride: int, same: bool) -> Padding | None:
    """Return (left, right, top, bottom) for stride 2 on an even map, as TensorFlow pads; None for the usual padding."""
    if not same or stride == 1:
        return None
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    return (before, after, before, after)
