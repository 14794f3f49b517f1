"""The keystone: channels that every reader ignores, and channels that are gone, give the same outputs.

Held over a thousand random graphs. A failing one is printed as its plan, which `grow` makes again.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from numpy.typing import NDArray

from engine.graph.channels.groups import Grouping, find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.channels.rules import RULES
from engine.graph.model import Model
from tests.engine.graph.random_graphs import MAP_STEPS, OPSETS, STEPS, Plan, grow, steps_of
from tests.engine.graph.same import assert_same

Cuts = dict[str, list[int]]

GRAPHS = 1000
REFUSALS = 80

BARRIERS = {"channel_softmax", "root_mean_square_norm", "spatial_gate"}
"""Steps that read all channels at once, so that none of what they read or write may go."""

FREE = sorted(MAP_STEPS.keys() - BARRIERS)
SEEDS = st.integers(0, 2**20)
PLANS = st.builds(
    Plan,
    seed=SEEDS,
    opset=st.sampled_from(OPSETS),
    open_batch=st.booleans(),
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), SEEDS), min_size=1, max_size=4).map(tuple),
)
FIXED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SINGLE_STEPS = [Plan(opset, opset, opset == 18, ((name, opset),)) for name in STEPS for opset in (18, 23)]


def test_removing_equals_ignoring() -> None:
    """Random graphs, random cuts: no mismatch, and hardly a graph or a kind of step in which nothing could go."""
    seen: Counter[str] = Counter()
    touched: Counter[str] = Counter()

    @settings(FIXED, max_examples=GRAPHS)
    @given(plan=PLANS, seed=SEEDS)
    def law(plan: Plan, seed: int) -> None:
        model = grow(plan)
        grouping = find_groups(model)
        cuts = _draw_cuts(grouping, random.Random(seed))

        removed = remove_channels(model, cuts)

        assert_same(_run(removed), _run(ignore_channels(model, cuts)))
        _assert_gone(model, removed, grouping, cuts)
        seen.update(graphs=1, cut=bool(cuts))
        touched.update(_steps_cut(model, grouping, cuts))

    law()

    assert seen["graphs"] >= GRAPHS
    assert seen["cut"] >= 0.75 * seen["graphs"]
    assert not BARRIERS & touched.keys()
    assert len(touched) >= 0.9 * (len(STEPS) - len(BARRIERS))  # what is drawn depends on which modules are loaded


def test_an_operator_without_a_rule_changes_nothing() -> None:
    """Take the rule of one operator away: what it touches stays whole, and all else may still go."""
    seen: Counter[str] = Counter()

    @settings(FIXED, max_examples=REFUSALS)
    @given(plan=PLANS, which=SEEDS)
    def refusal(plan: Plan, which: int) -> None:
        model = grow(plan)
        op_types = sorted({node.op_type for node in model.graph})
        op_type = op_types[which % len(op_types)]
        nodes = [node for node in model.graph if node.op_type == op_type]
        values = [value for node in nodes for value in (*node.inputs, *node.outputs) if value is not None]
        touched = {value.name for value in values if value.producer() is not None}
        with patch.dict(RULES):
            del RULES[op_type]
            grouping = find_groups(model)
            cuts = {group.name: range(1, group.size) for group in grouping.groups if group.size > 1}
            removed, ignored = remove_channels(model, cuts), ignore_channels(model, cuts)

        assert set(grouping.unknown) == {node.name for node in nodes}
        assert not touched & {place.value for group in grouping.groups for place in group.places}
        assert_same(_run(removed), _run(ignored))
        seen.update(graphs=1, cut=bool(cuts), **{op_type: 1})

    refusal()

    assert seen["cut"] >= 0.5 * seen["graphs"]
    assert len(seen) >= 15


def test_blind_readers_see_something_else() -> None:
    """The law would be empty if it made no difference to be blind: outputs change wherever something is cut."""
    changed = [_is_changed(Plan(seed, 18, False, (("conv", seed), (name, seed)))) for seed, name in enumerate(FREE)]

    assert sum(changed) >= 0.9 * len(changed)


@pytest.mark.parametrize("plan", SINGLE_STEPS, ids=lambda plan: f"{plan.steps[0][0]}-{plan.opset}")
def test_random_graphs_are_valid_and_finite(plan: Plan) -> None:
    """What the law is held over are networks: every shape as inferred, every output finite and not a constant."""
    model = grow(plan)

    onnx.checker.check_model(model.to_bytes(), full_check=True)
    for name, output in _run(model).items():
        assert np.isfinite(output).all()
        assert float(np.ptp(_run(model, seed=1)[name] - output)) > 1e-4


def _draw_cuts(grouping: Grouping, choice: random.Random) -> Cuts:
    """Choose some of the groups, and of each some channels, never all."""
    cuts = {}
    for group in grouping.groups:
        if group.size > 1 and choice.random() < 0.7:
            cuts[group.name] = choice.sample(range(group.size), choice.randint(1, group.size - 1))
    return cuts


def _is_changed(plan: Plan) -> bool:
    model = grow(plan)
    cuts = {group.name: range(1, group.size) for group in find_groups(model).groups if group.size > 1}
    before, after = _run(model), _run(ignore_channels(model, cuts))
    return all(float(np.abs(after[name] - before[name]).max()) > 1e-3 for name in before)


def _run(model: Model, seed: int = 0) -> dict[str, NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.to_bytes(), options, providers=["CPUExecutionProvider"])
    (image,) = model.inputs
    shape = [size if isinstance(size, int) else 2 for size in image.shape]
    names = [output.name for output in model.outputs]
    noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return dict(zip(names, session.run(names, {image.name: noise}), strict=True))


def _assert_gone(model: Model, removed: Model, grouping: Grouping, cuts: Cuts) -> None:
    """What nodes make is shorter, along every axis, by the positions that went with the groups, and by no more."""
    gone: dict[tuple[str, int], set[int]] = defaultdict(set)
    for group in grouping.groups:
        for place in group.places:
            for channel in cuts.get(group.name, ()):
                gone[place.value, place.axis].update(np.ravel(place.positions[channel]).tolist())
    after = removed.values()
    for name, value in model.values().items():
        if value.producer() is None or name not in after:
            continue
        for axis, (size, left) in enumerate(zip(value.shape or (), after[name].shape or (), strict=True)):
            if isinstance(size, int):
                assert left == size - len(gone[name, axis]), (name, axis)
            else:
                assert not isinstance(left, int), (name, axis)


def _steps_cut(model: Model, grouping: Grouping, cuts: Cuts) -> set[str]:
    """Return the steps on whose own nodes something was cut."""
    values = {place.value for group in grouping.groups if group.name in cuts for place in group.places}
    makers = zip(steps_of(model), model.graph, strict=True)
    return {step for step, node in makers if any(value.name in values for value in node.outputs)}
