"""Adapters change nothing until they are trained, and are folded away exactly."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmarks.networks.network import Droppable, Network
from benchmarks.peers.practise.adapters import absorb_adapters, insert_adapters, without
from tests.benchmarks.networks.test_definitions import tiny_networks

CASES = [(name, each) for name, network in tiny_networks().items() for each in network.droppables()]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].block}")
def case(request: pytest.FixtureRequest) -> tuple[Network, Droppable]:
    """Return a network in double precision, whose batch norms have seen something, and one of its blocks."""
    name, droppable = request.param
    network = tiny_networks()[name].double()
    network.train()(_images(8))
    return network.eval(), droppable


def _images(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_new_adapters_leave_the_function_as_it_is(case: tuple[Network, Droppable]) -> None:
    network, droppable = case
    cut = without(network, [droppable.block])
    plain = copy.deepcopy(cut)

    adapters = insert_adapters(cut.double(), droppable)
    cut.double()

    assert len(adapters) == len(droppable.writers) + len(droppable.readers)
    torch.testing.assert_close(cut(_images(3)), plain(_images(3)), rtol=1e-12, atol=1e-12)


def test_absorbed_adapters_say_exactly_what_they_said_before(case: tuple[Network, Droppable]) -> None:
    network, droppable = case
    cut = without(network, [droppable.block])
    paths = set(dict(cut.named_modules()))
    adapters = insert_adapters(cut, droppable)
    cut.double()
    with torch.no_grad():
        for adapter in adapters:
            adapter.add_(torch.randn(adapter.shape, dtype=adapter.dtype), alpha=0.3)
        trained = cut(_images(3))

        absorb_adapters(cut, droppable)

        assert set(dict(cut.named_modules())) == paths
        torch.testing.assert_close(cut(_images(3)), trained, rtol=1e-12, atol=1e-12)


def test_adapters_are_the_only_thing_that_is_between(case: tuple[Network, Droppable]) -> None:
    network, droppable = case

    insert_adapters(network, droppable)

    for path in droppable.writers:
        convolution, adapter = network.get_submodule(path).children()
        assert (convolution.out_channels, adapter.kernel_size, adapter.bias) == (adapter.in_channels, (1, 1), None)
    for path in droppable.readers:
        adapter, convolution = network.get_submodule(path).children()
        assert (convolution.in_channels, adapter.kernel_size, adapter.bias) == (adapter.out_channels, (1, 1), None)


def test_the_whole_network_is_not_touched_by_a_cut() -> None:
    network = tiny_networks()["resnet"]
    before = {name: value.clone() for name, value in network.state_dict().items()}

    cut = without(network, ["layer1.1", "layer3.2"])

    assert isinstance(cut.get_submodule("layer3.2"), nn.Identity)
    assert set(network.state_dict()) == set(before)
    assert sum(value.numel() for value in cut.state_dict().values()) < sum(value.numel() for value in before.values())
