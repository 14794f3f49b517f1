"""Cuts out of a checkpoint and back, and the same cuts with one group wider."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.channels.anatomy import without_repair
from benchmarks.channels.cases import Grid
from benchmarks.channels.cuts import Told, counted, cuts_of, told_by
from benchmarks.channels.widths import one_step_wider, widened
from engine.execution.runtime import open_session, run
from engine.formats import load, save
from engine.graph.channels.groups import find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.cuts import channels_in, units_in
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.normalise import normalise
from engine.graph.units import find_units
from tests.networks import images, plain, residual

CASE = Grid(["vgg-like"], ["widths"], [], [0]).case("vgg-like", "widths", "auto", 0)


def keep(folder: Path, names: list[str], channels: dict[str, list[int]]) -> None:
    (folder / "plans-abc.json").write_text(json.dumps({"plans": [{"cuts": names}]}))
    (folder / "harm-abc.json").write_text(json.dumps({"harm": {}, "channels": channels}))


def test_what_a_job_cut_is_found_in_its_checkpoint(tmp_path: Path) -> None:
    assert told_by(tmp_path) is None

    keep(tmp_path, ["add", "conv: 2: 6 of 8"], {"conv: 2: 6 of 8": [3, 5], "conv: 2: 4 of 8": [1, 3, 5, 7]})

    assert told_by(tmp_path) == {"units": ["add"], "channels": {"conv: 2": [3, 5]}}


def test_cuts_are_told_and_found_again() -> None:
    model = normalise(residual())
    unit, group = find_units(model)[0], find_groups(model).groups[-1]
    told: Told = {"units": [unit.name], "channels": {group.name: [0, 2, 5]}}

    cuts = cuts_of(model, told)

    assert [one.name for one in units_in(cuts)] == [unit.name]
    assert channels_in(cuts) == {group.name: (0, 2, 5)}
    assert counted(told) == {"units_cut": 1, "groups_narrowed": 1, "channels_cut": 3}


def test_strangers_are_refused() -> None:
    with pytest.raises(ValueError, match="no such"):
        cuts_of(normalise(residual()), {"units": ["no such unit"], "channels": {"no such group": [1]}})


def test_the_cuts_alone_are_the_network_that_ignores_the_channels() -> None:
    model = merge(fold(normalise(plain())))
    told: Told = {"units": [], "channels": {group.name: [1, 4] for group in find_groups(model).groups}}
    feed = images(model)

    found = run(open_session(without_repair(model, told)), feed)

    for name, expected in run(open_session(ignore_channels(model, told["channels"])), feed).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("multiple", "left"), [(1, [2, 5, 6]), (2, [5, 6]), (4, None), (16, None)])
def test_one_group_gets_wider_and_no_other(multiple: int, left: list[int] | None) -> None:
    told: Told = {"units": ["add"], "channels": {"a": [0, 2, 5, 6], "b": [1]}}

    found = widened(told, "a", multiple)

    assert found == {"units": ["add"], "channels": {"b": [1]} | ({"a": left} if left else {})}
    assert told["channels"]["a"] == [0, 2, 5, 6]


def test_each_narrowed_group_is_timed_one_step_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.channels.widths.SECONDS", 0.05)
    save(plain(), tmp_path / "net.onnx")
    groups = find_groups(merge(fold(normalise(load(tmp_path / "net.onnx"))))).groups
    told: Told = {"units": [], "channels": {group.name: [0, 1, 2, 3] for group in groups}}

    row = one_step_wider(CASE, tmp_path / "net.onnx", {"cuts": told, "width_multiple": 2})

    assert row["groups_timed"] == len(groups) > 0
    assert row["least_wider_ratio"] == min(row["wider_ratios"].values()) > 0
    assert row["fastest_wider"] in told["channels"]


def test_a_network_that_lost_units_alone_has_nothing_to_widen(tmp_path: Path) -> None:
    row = one_step_wider(CASE, tmp_path, {"cuts": {"units": ["add"], "channels": {}}, "width_multiple": 16})

    assert (row["least_wider_ratio"], row["groups_timed"]) == (None, 0)
