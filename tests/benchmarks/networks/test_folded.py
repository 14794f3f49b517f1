"""Batch norm put back changes no output and has the statistics of the images."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.networks.folded import fill, measure_batch_norm
from benchmarks.networks.inverted import InvertedResidual, InvertedResiduals
from benchmarks.networks.network import ConvNorm
from tests.benchmarks.networks.test_definitions import TINY_INVERTED


def _published(network: InvertedResiduals) -> dict[str, np.ndarray]:
    """Draw weights under the names of the published file."""
    generator = np.random.default_rng(0)
    layers = {"_conv_stem": network.stem, "_conv_head": network.head}
    for index, block in enumerate(network.blocks):
        assert isinstance(block, InvertedResidual)
        parts = {"expand": block.expand, "depthwise": block.depthwise, "project": block.project}
        layers |= {f"_blocks.{index}._{part}_conv": layer for part, layer in parts.items() if layer is not None}
    weights = {}
    for name, layer in layers.items():
        shape = tuple(layer.conv.weight.shape)
        weights[f"{name}.weight"] = generator.normal(size=shape).astype(np.float32) / np.float32(
            np.sqrt(np.prod(shape[1:]))
        )
        weights[f"{name}.weight_bias"] = generator.normal(size=shape[:1]).astype(np.float32)
    weights["_fc.weight"] = generator.normal(size=tuple(network.linear.weight.shape)).astype(np.float32)
    weights["_fc.bias"] = generator.normal(size=tuple(network.linear.bias.shape)).astype(np.float32)
    return weights


def test_the_function_stays_and_the_statistics_are_the_images() -> None:
    network = InvertedResiduals(TINY_INVERTED).eval()
    images = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    weights = _published(network)

    fill(network, weights)
    folded = network(images)
    measure_batch_norm(network, images)
    evaluated, trained = network(images), network.train()(images)

    torch.testing.assert_close(evaluated, folded, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trained, folded, rtol=1e-2, atol=1e-3)


def test_a_folded_bias_is_added_and_nothing_else_is_done() -> None:
    network = InvertedResiduals(TINY_INVERTED).eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    weights = _published(network)

    fill(network, weights)
    stem: ConvNorm = network.stem
    linear = torch.nn.functional.conv2d(
        torch.nn.functional.pad(images, (1, 1, 1, 1)),
        torch.from_numpy(weights["_conv_stem.weight"]),
        torch.from_numpy(weights["_conv_stem.weight_bias"]),
    )

    torch.testing.assert_close(stem(images), linear.clamp(0, 6), rtol=1e-5, atol=1e-5)
