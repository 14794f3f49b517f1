"""Tables, bars and plot: what was not run is open, losses are shown like gains, refusals say why."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.channels.bars import CNNS, Line, bars
from benchmarks.channels.cells import cells
from benchmarks.channels.plot import plot
from benchmarks.channels.table import tables
from benchmarks.trained.memory import Row
from tests.benchmarks.channels.a_row import row


def bar(rows: list[Row], start: str) -> Line:
    (found,) = [line for line in bars(cells(rows)) if line.what.startswith(start)]
    return found


def test_nothing_is_met_where_nothing_was_run() -> None:
    assert {line.met for line in bars({})} == {None}


@pytest.mark.parametrize(("closed", "met"), [(75.1, True), (74.9, False)])
def test_the_share_won_back_is_of_what_the_cuts_cost(closed: float, met: bool) -> None:
    """From 40 % back to 90 %, 70 % of the way is 75 %."""
    assert bar([row(top1_closed_form=closed)], "cifar10-resnet56: won back").met is met


def test_a_share_at_another_speed_meets_no_bar() -> None:
    assert bar([row(top1_closed_form=90.0, measured_ratio=0.75)], "cifar10-resnet56: won back").met is False


def test_cuts_that_cost_nothing_have_no_share() -> None:
    (cell,) = cells([row(top1_plain=89.8, top1_closed_form=90.0)]).values()

    assert cell.share_won_back() is None


@pytest.mark.parametrize(("theirs", "met"), [(0.80, True), (0.86, False), (0.95, False)])
def test_a_peer_has_to_be_beaten_by_three_points(theirs: float, met: bool) -> None:
    rows = [row(after=0.88, seed=seed) for seed in range(3)]
    rows += [row(after=theirs, seed=seed, kind="peers", what="onnxsim", top1_untrained=10.0) for seed in (0, 1)]

    assert bar(rows, "better than onnxsim").met is met
    assert f"{100 * (0.88 - theirs):+.2f}" in tables(rows)


@pytest.mark.parametrize(("ratio", "met"), [(0.65, True), (0.74, True), (0.53, None)])
def test_a_peer_that_cut_more_is_not_at_equal_latency(ratio: float, met: bool | None) -> None:
    """One that is slower than ours is: it has the advantage."""
    rows = [row(after=0.88), row(after=0.5, kind="peers", what="onnxsim", measured_ratio=ratio, top1_untrained=10.0)]

    assert bar(rows, "better than onnxsim").met is met


def test_auto_is_held_against_the_best_single_method_on_every_network() -> None:
    rows = [row(model=model, after=0.88) for model in CNNS]
    rows += [row(model=model, what="l1", after=0.8) for model in CNNS]
    assert bar(rows, "`auto` at least as good").met is True
    assert bar(rows, "`auto` never worse").met is True

    rows += [row(model=CNNS[0], what="thinet", after=0.9)]
    assert bar(rows, "`auto` at least as good").met is True
    assert bar(rows, "`auto` never worse").met is False


def test_a_method_that_missed_the_speed_is_no_rival() -> None:
    rows = [row(model=model, after=0.88) for model in CNNS]
    rows += [row(model=model, what="magnitude", after=0.9, measured_ratio=1.0) for model in CNNS]

    assert bar(rows, "`auto` never worse").met is None


def test_a_method_that_was_given_a_slower_upload_is_no_rival() -> None:
    rows = [row(model=model, after=0.88) for model in CNNS]
    rows += [row(model=model, what="l1", after=0.8) for model in CNNS]
    rows += [row(model=model, what="slimming", after=0.9, upload="with norms.onnx") for model in CNNS]

    assert bar(rows, "`auto` never worse").met is True


@pytest.mark.parametrize(("error", "met"), [(3e-6, True), (2e-5, False)])
def test_the_law_is_judged_by_its_worst_error(error: float, met: bool) -> None:
    assert bar([row(), row(seed=1, law=error), row(seed=2, law=None)], "channels removed").met is met


@pytest.mark.parametrize(("least", "met"), [(0.98, True), (0.9, False), (None, True)])
def test_a_wider_layer_that_is_faster_is_a_trap(least: float | None, met: bool) -> None:
    wider = row(kind="widths", least_wider_ratio=least, fastest_wider="conv", groups_timed=3, width_multiple=16)

    assert bar([wider], "cifar10-resnet56: no next wider").met is met
    assert "One step wider" in tables([wider])


@pytest.mark.parametrize(("seconds", "gib", "met"), [(599, 3.9, True), (601, 3.9, False), (599, 4.1, False)])
def test_size_is_judged_by_seconds_and_memory(seconds: float, gib: float, met: bool) -> None:
    sized = row(kind="size", images=500, job_seconds=seconds, peak_bytes=int(gib * 2**30), reported_ratio=0.7)

    assert bar([sized], "ResNet-50's size, 500").met is met


def test_a_refusal_is_shown_with_its_reason() -> None:
    refused = {name: row()[name] for name in ("model", "kind", "seed", "images", "latency_ratio")}

    text = tables([refused | {"what": "slimming", "error": "No batch norm is left"}])

    assert "| cifar10-resnet56 | methods | slimming | No batch norm is left |" in text


def test_structures_and_controls_have_their_tables() -> None:
    control: Row = {"name": "scratch_e", "accuracy": {"value": 0.4}, "inherited_accuracy": None}
    control |= {"epochs": 3.0, "epochs_planned": 160, "meaning": "stopped by the budget"}
    rows = [row(model="vit_b_16", kind="structure", measured_ratio=0.5), row(kind="scratch", controls=[control])]

    text = tables(rows)

    assert "| vit_b_16 | auto | 0.500 (0.650 to 0.670) | 2.00 |" in text
    assert "| scratch_e | 40.0 |  | 3.0 of 160 |" in text


@pytest.mark.parametrize("rows", [[], [row(), row(what="l1"), row(kind="peers", what="onnxsim", model="vgg-like")]])
def test_the_plot_has_a_point_for_each_method_and_peer(rows: list[Row]) -> None:
    root = ElementTree.fromstring(plot(cells(rows)))  # our own text

    drawn = [each for each in root.iter("{http://www.w3.org/2000/svg}circle") if each.get("r") == "3"]
    assert len(drawn) == len(rows)
