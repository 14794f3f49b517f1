"""A VGG-like network for 32 x 32 images: eleven 3x3 convolutions with batch norm, no skip anywhere.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015; batch norm and mean
pooling as its later users have them. Eight of the convolutions keep the shape; 58 million multiply-adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.networks.network import ConvNorm, Network

STAGES = ((32, 3), (48, 4), (96, 4))
"""Width and number of convolutions; the map is halved between stages."""


class Vgg(Network):
    def __init__(self, stages: Sequence[tuple[int, int]] = STAGES, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, convolutions in stages:
            layers += [nn.MaxPool2d(2)] if layers else []
            for _ in range(convolutions):
                layers.append(ConvNorm(channels, width))
                channels = width
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, classes)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits
