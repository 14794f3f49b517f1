"""Small members of torchvision's families, with every operator of the large ones; and how each exporter is called."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torchvision import models
from torchvision.models import VisionTransformer
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.densenet import DenseNet
from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig
from torchvision.models.maxvit import MaxVit
from torchvision.models.mnasnet import MNASNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.models.segmentation.lraspp import LRASPPHead
from torchvision.models.shufflenetv2 import ShuffleNetV2
from torchvision.models.swin_transformer import (
    PatchMergingV2,
    SwinTransformer,
    SwinTransformerBlockV2,
)
from torchvision.models.vgg import VGG, make_layers

SIDE = 64


def alexnet() -> nn.Module:
    network = models.AlexNet(num_classes=10)
    network.avgpool, network.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(256, 10)  # its own is 200 MB
    return network


def vgg() -> nn.Module:
    network = VGG(make_layers([16, "M", 32, 32, "M", 64, 64, "M"], batch_norm=True), init_weights=False)
    network.avgpool, network.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(64, 10)
    return network


def googlenet() -> nn.Module:
    return models.googlenet(weights=None, init_weights=False, aux_logits=False, num_classes=10)


def mobilenet_v2() -> nn.Module:
    return MobileNetV2(num_classes=10, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]])


def mobilenet_v3() -> nn.Module:
    row = partial(InvertedResidualConfig, width_mult=1.0)
    setting = [
        row(16, 3, 16, 16, True, "RE", 2, 1),
        row(16, 3, 48, 24, False, "RE", 2, 1),
        row(24, 5, 72, 24, True, "HS", 1, 1),
    ]
    return MobileNetV3(setting, last_channel=64, num_classes=10)


def mnasnet() -> nn.Module:
    network = MNASNet(0.35, num_classes=10)
    network.layers = nn.Sequential(*network.layers[:10], nn.Conv2d(16, 64, 1), nn.BatchNorm2d(64), nn.ReLU())
    network.classifier = nn.Linear(64, 10)
    return network


def efficientnet() -> nn.Module:
    row = partial(MBConvConfig, width_mult=1.0, depth_mult=1.0)
    return EfficientNet(
        [row(1, 3, 1, 32, 16, 1), row(6, 3, 2, 16, 24, 2), row(6, 5, 2, 24, 40, 2)],
        dropout=0.2,
        last_channel=64,
        num_classes=10,
    )


def efficientnet_v2() -> nn.Module:
    setting = [
        FusedMBConvConfig(1, 3, 1, 24, 24, 2),
        FusedMBConvConfig(4, 3, 2, 24, 32, 2),
        MBConvConfig(4, 3, 2, 32, 48, 2),
    ]
    return EfficientNet(setting, dropout=0.2, last_channel=64, num_classes=10)


def regnet(se_ratio: float | None) -> nn.Module:
    params = BlockParams(
        depths=[1, 2, 1],
        widths=[16, 32, 64],
        group_widths=[8, 8, 8],
        bottleneck_multipliers=[1.0, 1.0, 1.0],
        strides=[2, 2, 2],
        se_ratio=se_ratio,
    )
    return RegNet(params, num_classes=10, stem_width=16)


def convnext() -> nn.Module:
    return ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 2)], num_classes=10)


def vit() -> nn.Module:
    network = VisionTransformer(
        image_size=SIDE, patch_size=16, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=96, num_classes=10
    )
    nn.init.normal_(network.heads.head.weight)  # torchvision starts it at zero, and every output with it
    return network


def swin() -> nn.Module:
    return SwinTransformer([4, 4], 24, [2, 1], [2, 4], [4, 4], num_classes=10)


def swin_v2() -> nn.Module:
    return SwinTransformer(
        [4, 4],
        24,
        [2, 2],
        [2, 4],
        [4, 4],
        num_classes=10,
        block=SwinTransformerBlockV2,
        downsample_layer=PatchMergingV2,
    )


def maxvit() -> nn.Module:
    return MaxVit((SIDE, SIDE), 16, 4, [16, 32], [1, 1], 8, 0.0, num_classes=10)


class Segmenter(nn.Module):
    """A small backbone, one of torchvision's heads, and the scores at the size of the image."""

    def __init__(self, head: nn.Module, of_two: bool = False) -> None:
        super().__init__()
        self.shallow = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.head, self.of_two = head, of_two

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        shallow = self.shallow(image)
        deep = self.deep(shallow)
        scores = self.head({"low": shallow, "high": deep} if self.of_two else deep)
        return nn.functional.interpolate(scores, size=image.shape[-2:], mode="bilinear", align_corners=False)


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "alexnet": alexnet,
    "vgg": vgg,
    "resnet": lambda: ResNet(BasicBlock, [2, 1, 1, 1], num_classes=10),
    "resnet_bottleneck": lambda: ResNet(Bottleneck, [2, 1, 1, 1], num_classes=10, width_per_group=16),
    "resnext": lambda: ResNet(Bottleneck, [2, 1, 1, 1], num_classes=10, groups=8, width_per_group=4),
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "mnasnet": mnasnet,
    "efficientnet": efficientnet,
    "efficientnet_v2": efficientnet_v2,
    "regnet_x": lambda: regnet(None),
    "regnet_y": lambda: regnet(0.25),
    "shufflenet": lambda: ShuffleNetV2([2, 2, 1], [24, 48, 96, 192, 256], num_classes=10),
    "squeezenet": lambda: models.squeezenet1_1(num_classes=10),
    "googlenet": googlenet,
    "densenet": lambda: DenseNet(8, (2, 2), 16, num_classes=10),
    "convnext": convnext,
    "vit": vit,
    "swin": swin,
    "swin_v2": swin_v2,
    "maxvit": maxvit,
    "fcn": lambda: Segmenter(FCNHead(32, 5)),
    "deeplab": lambda: Segmenter(DeepLabHead(32, 5, [2, 4])),
    "lraspp": lambda: Segmenter(LRASPPHead(16, 32, 5, 24), of_two=True),
}


def make(family: str) -> nn.Module:
    """Build one, with batch norms that do something and biases that are not zero."""
    torch.manual_seed(0)
    network = FAMILIES[family]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # fresh ones do nothing: mean 0, variance 1
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def export(network: nn.Module, path: Path, opset: int, *, traced: bool, **options: object) -> None:
    """Write `image` -> `logits` with an open batch, by the older exporter (traced) or the current one."""
    images = torch.zeros(2, 3, SIDE, SIDE)
    if traced:
        options |= {"dynamo": False, "dynamic_axes": {"image": {0: "batch"}, "logits": {0: "batch"}}}
    else:
        options |= {"dynamo": True, "external_data": False, "dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporters speak of their own age and of each other
        torch.onnx.export(
            network, (images,), path, input_names=["image"], output_names=["logits"], opset_version=opset, **options
        )
