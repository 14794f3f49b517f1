"""The networks of the zoo: a member of each torchvision family, its weights random and none of its parts idle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

SEED = 0
_SETTLING_IMAGES = 4


@dataclass(frozen=True)
class Family:
    """`member` is torchvision's name, `pixels` the side of the image: the smallest that leaves the network itself."""

    member: str
    pixels: int
    options: dict[str, Any] = field(default_factory=dict)


_NO_AUXILIARY = {"aux_logits": False, "init_weights": False}
_NO_DOWNLOAD = {"weights_backbone": None}

FAMILIES: dict[str, Family] = {
    "alexnet": Family("alexnet", 224),
    "convnext": Family("convnext_tiny", 64),
    "deeplabv3": Family("deeplabv3_mobilenet_v3_large", 128, _NO_DOWNLOAD),
    "densenet": Family("densenet121", 64),
    "efficientnet": Family("efficientnet_b0", 64),
    "efficientnet_v2": Family("efficientnet_v2_s", 64),
    "fcn": Family("fcn_resnet50", 64, _NO_DOWNLOAD),
    "googlenet": Family("googlenet", 96, _NO_AUXILIARY),
    "inception_v3": Family("inception_v3", 128, _NO_AUXILIARY),
    "lraspp": Family("lraspp_mobilenet_v3_large", 128, _NO_DOWNLOAD),
    "maxvit": Family("maxvit_t", 224),
    "mnasnet": Family("mnasnet1_0", 64),
    "mobilenet_v2": Family("mobilenet_v2", 64),
    "mobilenet_v3": Family("mobilenet_v3_small", 64),
    "regnet_x": Family("regnet_x_400mf", 64),
    "regnet_y": Family("regnet_y_400mf", 64),
    "resnet": Family("resnet50", 64),
    "resnext": Family("resnext50_32x4d", 64),
    "shufflenet_v2": Family("shufflenet_v2_x1_0", 64),
    "squeezenet": Family("squeezenet1_1", 64),
    "swin": Family("swin_t", 224),
    "swin_v2": Family("swin_v2_t", 256),
    "vgg": Family("vgg11_bn", 224),
    "vit": Family("vit_b_16", 224),
    "wide_resnet": Family("wide_resnet50_2", 64),
}


class _Scores(nn.Module):
    """A segmentation network whose one output is its map of scores."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.network(image)["out"]
        return scores


def build(name: str) -> nn.Module:
    """Return the family's member in evaluation mode, the same for the same name."""
    torch.manual_seed(SEED)
    family = FAMILIES[name]
    network = torchvision.models.get_model(family.member, weights=None, **family.options)
    if "weights_backbone" in family.options:
        network = _Scores(network)
    _enliven(network)
    _settle(network, images(name, _SETTLING_IMAGES))
    return network.eval()


def images(name: str, count: int) -> Tensor:
    """Return images of noise, as a normalised photograph has them: mean 0, deviation 1."""
    pixels = FAMILIES[name].pixels
    return torch.randn(count, 3, pixels, pixels, generator=torch.Generator().manual_seed(SEED))


def _enliven(network: nn.Module) -> None:
    """Spread, in place, what starts as one number: zeroed heads, unit scales, layer scales of a millionth."""
    with torch.no_grad():
        for parameter in network.parameters():
            first = parameter.flatten()[0]
            if parameter.numel() > 1 and bool((parameter == first).all()):
                if first == 0:
                    parameter.normal_(std=0.05)
                else:
                    parameter.uniform_(0.5, 1.5)


def _settle(network: nn.Module, batch: Tensor) -> None:
    """Give batch norm, in place, the statistics of these images, so that no layer's output fades or explodes."""
    norms = list(_norms(network))
    if not norms:
        return
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.eval()
    for norm in norms:
        norm.momentum = None  # the plain mean of what was seen
        norm.reset_running_stats()
    with torch.no_grad():
        network(batch)


def _norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            yield module
