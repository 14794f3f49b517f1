"""Training as published: batches, rates, views, and what it may not touch."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from benchmarks.networks.network import Network
from benchmarks.peers.practise.adapters import insert_adapters, without
from benchmarks.peers.practise.mimicry import PUBLISHED, Images, _batches, mimic, remaining_error
from tests.benchmarks.networks.test_definitions import tiny_networks


def _images(count: int, height: int = 16, side: int = 16) -> Images:
    return Images(torch.randn(count, 3, height, height, generator=torch.Generator().manual_seed(2)), side)


def _resnet() -> Network:
    network = tiny_networks()["resnet"]
    with torch.no_grad():
        network.train()(_images(16).inputs)
    return network.eval()


@pytest.mark.parametrize(("count", "size", "in_a_pass"), [(500, 64, 7), (64, 64, 1), (50, 50, 1), (130, 64, 2)])
def test_a_rest_is_left_out_unless_it_is_all_there_is(count: int, size: int, in_a_pass: int) -> None:
    batches = [batch for batch, _ in zip(_batches(count, 64), range(2 * in_a_pass), strict=False)]

    for one_pass in (batches[:in_a_pass], batches[in_a_pass:]):
        seen = torch.cat(list(one_pass))
        assert len(set(seen.tolist())) == len(seen) == size * in_a_pass


def test_only_adapters_learn_where_only_they_are_given() -> None:
    teacher = _resnet()
    droppable = teacher.droppables()[0]
    student = without(teacher, [droppable.block]).eval().requires_grad_(False)
    adapters = insert_adapters(student, droppable)
    images = _images(20)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    left = remaining_error(teacher, student, images)

    mimic(teacher, student, adapters, images, 30, PUBLISHED)

    after = student.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert len(changed) == len(adapters)
    assert remaining_error(teacher, student, images) < left


def test_training_all_moves_weights_and_statistics_but_never_the_head_or_the_teacher() -> None:
    teacher = _resnet()
    student = without(teacher, ["layer2.1"]).train()
    kept = {name: value.clone() for name, value in teacher.state_dict().items()}

    mimic(teacher, student, student.parameters(), _images(20), 2, PUBLISHED)

    for name, value in teacher.state_dict().items():
        assert torch.equal(value, kept[name])
    changed = {name for name, value in student.state_dict().items() if not torch.equal(value, kept[name])}
    assert {"conv1.weight", "bn1.running_mean", "layer3.2.bn2.weight"} <= changed
    assert not any(name.startswith("linear") for name in changed)


def test_rates_fall_to_a_tenth_after_two_and_four_fifths(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    plain = torch.optim.SGD.step

    def step(optimiser: torch.optim.SGD, closure: None = None) -> None:
        rates.append(optimiser.param_groups[0]["lr"])
        plain(optimiser, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    teacher = _resnet()
    mimic(teacher, without(teacher, ["layer1.1"]), teacher.layer3.parameters(), _images(4), 10, PUBLISHED)

    groups = [(round(rate, 9), len(list(steps))) for rate, steps in itertools.groupby(rates)]
    assert groups == [(0.02, 4), (0.002, 4), (0.0002, 2)]


def test_the_remaining_error_is_the_mean_over_all_images() -> None:
    teacher = _resnet()
    student = without(teacher, ["layer1.1"])
    images = _images(7)

    with torch.no_grad():
        expected = (student.features(images.inputs) - teacher.features(images.inputs)).square().mean()

    assert remaining_error(teacher, student, images, batch=3) == pytest.approx(float(expected), rel=1e-5)


def test_large_images_are_cropped_at_random_and_measured_in_the_middle() -> None:
    images = _images(3, height=80, side=64)

    views: Tensor = images.views(torch.tensor([0, 1]))

    assert views.shape == (2, 3, 64, 64)
    assert torch.equal(images.plain(), images.inputs[:, :, 8:72, 8:72])
