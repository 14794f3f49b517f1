"""Definitions name the right blocks and neighbours, and leave a network that runs without them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from benchmarks.networks import NETWORKS, build
from benchmarks.networks.inverted import InvertedResiduals, Shape, Stage
from benchmarks.networks.network import Droppable, Network
from benchmarks.networks.resnet import ResNet

TINY_INVERTED = Shape(
    stem=4,
    stem_stride=1,
    stages=(Stage(1, 4, 1, 1), Stage(2, 6, 3, 2), Stage(2, 8, 2, 2, 5)),
    head=10,
    classes=3,
    same_padding=True,
)


def tiny_networks() -> dict[str, Network]:
    torch.manual_seed(0)
    return {"resnet": ResNet(3, 5, (4, 6, 8)).eval(), "inverted": InvertedResiduals(TINY_INVERTED).eval()}


def test_a_residual_network_drops_all_blocks_but_the_first_of_each_stage() -> None:
    found = {each.block: each for each in ResNet(3).droppables()}

    assert list(found) == ["layer1.1", "layer1.2", "layer2.1", "layer2.2", "layer3.1", "layer3.2"]
    assert found["layer2.1"] == Droppable("layer2.1", ("layer2.0.conv2",), ("layer2.2.conv1", "layer3.0.conv1"))
    assert found["layer3.2"] == Droppable("layer3.2", ("layer3.0.conv2", "layer3.1.conv2"), ())


def test_inverted_residuals_look_back_within_the_width_and_forward_past_it() -> None:
    found = {each.block: each for each in InvertedResiduals(TINY_INVERTED).droppables()}

    assert list(found) == ["blocks.0", "blocks.2", "blocks.3", "blocks.5"]
    assert found["blocks.2"].writers == ("blocks.1.project.conv",)
    assert found["blocks.2"].readers == ("blocks.3.expand.conv", "blocks.4.expand.conv")
    assert found["blocks.3"].writers == ("blocks.2.project.conv", "blocks.1.project.conv")
    assert found["blocks.5"].readers == ("head.conv",)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cifar10-resnet20", 6),
        ("cifar10-resnet56", 24),
        ("vgg-like", 0),
        ("mobilenet-like", 10),
        ("imagenet-efficientnet-lite0", 9),
    ],
)
def test_each_network_has_its_number_of_blocks(name: str, count: int) -> None:
    assert len(build(name).droppables()) == count


@pytest.mark.parametrize("name", NETWORKS)
def test_neighbours_carry_as_many_channels_as_the_stream(name: str) -> None:
    network = build(name)

    for each in network.droppables():
        writers = {network.get_submodule(path).out_channels for path in each.writers}
        readers = {network.get_submodule(path).in_channels for path in each.readers}
        assert len(writers | readers) == 1
        assert not any(path.startswith(f"{each.block}.") for path in (*each.writers, *each.readers))


@pytest.mark.parametrize("name", ["resnet", "inverted"])
def test_a_network_runs_without_any_of_its_blocks(name: str) -> None:
    network = tiny_networks()[name]
    images = torch.randn(2, 3, 16, 16)

    for each in network.droppables():
        cut = copy.deepcopy(network)
        cut.set_submodule(each.block, nn.Identity())
        assert cut(images).shape == network(images).shape
        assert not torch.allclose(cut(images), network(images))
