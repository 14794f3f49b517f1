"""What lies before the first change is the same in both networks: it can be run once, kept, and left alone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from engine.data.images import ImageSet
from engine.execution.executor import Executor
from engine.graph.extract import extract
from engine.graph.features import find_features
from engine.graph.holes import features_after, find_holes
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, blocks, find_units
from engine.graph.writers import find_writer
from engine.measure.batches import outputs_in_batches
from engine.recipe import Deploy
from engine.recovery.prefix import Prefix, find_prefix, starting_values
from engine.recovery.views import Start, Views, draw_views
from tests.networks import NETWORKS, WITH_UNITS, images

COMPUTE = Deploy(threads=1)
IMAGE = "image"
CPU = torch.device("cpu")


def image_set(model: Model, count: int) -> ImageSet:
    (inputs,) = images(model, batch=count, seed=5).values()
    return ImageSet(inputs.astype(np.float32), None, tuple(f"image{i}" for i in range(count)))


class Cut:
    """A network without one unit: what training asks of it, and what it has in common with the uncut one."""

    def __init__(self, model: Model, unit: Unit) -> None:
        self.model, self.unit = remove_units(model, [unit]), unit
        found_in = features_after(model, [unit], find_features(model))
        self.wanted = (*found_in.values, *found_in.logits)
        self.holes = find_holes(model, [unit])
        self.prefix = find_prefix(model, self.model, self.holes, self.wanted)


def cuts(model: Model) -> list[Cut]:
    return [Cut(model, unit) for unit in blocks(find_units(model))]


@pytest.mark.parametrize("name", WITH_UNITS)
def test_from_the_uncut_networks_values_the_cut_one_goes_on_as_from_the_image(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    given = image_set(model, model.inputs[0].shape[0] if isinstance(model.inputs[0].shape[0], int) else 4)

    for cut in cuts(model):
        start = starting_values(cut.model, cut.prefix, given, COMPUTE, bytes_max=1e9)
        kept = next(outputs_in_batches(extract(model, start), given, COMPUTE)) if start != (IMAGE,) else {}
        network, image = Executor(cut.model), torch.from_numpy(given.inputs)
        from_image = network({IMAGE: image}, fetch=cut.wanted)
        from_prefix = network({IMAGE: image} | {n: torch.from_numpy(v) for n, v in kept.items()}, fetch=cut.wanted)

        for value in cut.wanted:
            torch.testing.assert_close(from_prefix[value], from_image[value], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WITH_UNITS)
def test_the_layer_that_writes_into_a_hole_may_learn(name: str) -> None:
    for cut in cuts(normalise(NETWORKS[name][0]())):
        writers = [find_writer(cut.model, hole.value, through_relu=True) for hole in cut.holes]

        assert not cut.prefix.weights & {writer.weight for writer in writers if writer is not None}


@pytest.mark.parametrize("name", WITH_UNITS)
def test_behind_refitted_writers_views_hold_what_the_cut_network_makes_of_them(name: str) -> None:
    """From the uncut network's values, which other weights have made, the cut one would learn something else."""
    model = normalise(NETWORKS[name][0]())
    given = image_set(model, model.inputs[0].shape[0] if isinstance(model.inputs[0].shape[0], int) else 4)

    for cut in cuts(model):
        writers = [find_writer(cut.model, hole.value, through_relu=True) for hole in cut.holes]
        if None in writers:
            continue
        refitted = {writer.weight for writer in writers if writer is not None}
        for weight in refitted:
            cut.model.set_weight(weight, 0.5 * cut.model.weight(weight))
        prefix = find_prefix(model, cut.model, cut.holes, cut.wanted, with_writers=True)
        values = starting_values(cut.model, prefix, given, COMPUTE, bytes_max=1e9)
        start = None if values == (IMAGE,) else Start(cut.model, values)
        drawn, plain = (drawn_views(model, given, each) for each in (start, None))
        network = Executor(cut.model)

        assert prefix.weights >= refitted or prefix.weights == cut.prefix.weights == frozenset()
        for batch in range(0, len(drawn), len(given)):
            rows = torch.arange(batch, batch + len(given))
            from_start = network(drawn.take(rows, CPU)[0], fetch=cut.wanted)
            from_image = network(plain.take(rows, CPU)[0], fetch=cut.wanted)
            for value in cut.wanted:
                torch.testing.assert_close(from_start[value], from_image[value], rtol=1e-4, atol=1e-5)


def drawn_views(model: Model, given: ImageSet, start: Start | None) -> Views:
    return draw_views(model, find_features(model), given, COMPUTE, layout="NCHW", seed=0, seconds=60, start=start)


def test_two_of_three_blocks_before_the_cut_are_prefix_but_for_the_layer_before_it() -> None:
    model = normalise(NETWORKS["residual"][0]())

    first, _, last = (cut.prefix for cut in cuts(model))

    assert first == Prefix((IMAGE,), frozenset())
    assert len(last.ends) == 2  # the branch's last layer reads one, the sum behind it the other
    assert last.weights == {f"weight_{i}" for i in range(8)}


def test_a_weight_that_changed_ends_the_prefix() -> None:
    model = normalise(NETWORKS["residual"][0]())
    cut = cuts(model)[-1]
    cut.model.set_weight("weight_2", cut.model.weight("weight_2") * 2)

    prefix = find_prefix(model, cut.model, cut.holes, cut.wanted)

    assert prefix.weights == {"weight_0", "weight_1"}


def test_a_weight_that_both_sides_read_is_left_alone() -> None:
    """Learnt behind the cut, it would change the prefix, whose values are kept from before."""
    model = normalise(NETWORKS["residual"][0]())
    nodes = model.nodes()
    nodes["node_12_Conv"].replace_input_with(2, nodes["node_2_Conv"].inputs[2])

    middle = cuts(model)[1]

    assert middle.prefix.weights == {f"weight_{i}" for i in range(4)}


def test_another_setting_ends_the_prefix() -> None:
    model = normalise(NETWORKS["residual"][0]())
    cut = cuts(model)[-1]
    cut.model.nodes()["node_2_Conv"].attributes["strides"] = ir.AttrInt64s("strides", [2, 2])

    prefix = find_prefix(model, cut.model, cut.holes, cut.wanted)

    assert prefix.weights == {"weight_0", "weight_1"}


def test_values_larger_than_the_room_are_not_kept() -> None:
    model = normalise(NETWORKS["residual"][0]())
    cut = cuts(model)[-1]

    assert starting_values(cut.model, cut.prefix, image_set(model, 3), COMPUTE, bytes_max=0) == (IMAGE,)
    assert starting_values(cut.model, cut.prefix, image_set(model, 3), COMPUTE, bytes_max=1e6) == cut.prefix.ends
