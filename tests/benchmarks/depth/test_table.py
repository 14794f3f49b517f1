"""Tables, bars and plot: losses are shown like gains, what was not run is not met, and every line is whole."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.depth.bars import bars
from benchmarks.depth.cells import cells, duel
from benchmarks.depth.plot import plot
from benchmarks.depth.practise import practise_rows
from benchmarks.depth.table import tables
from benchmarks.trained.memory import Row
from tests.benchmarks.depth.a_row import row

PEER = {"kind": "practise", "cpu_seconds": 600.0, "cpu_seconds_published": 6000.0}


def line(rows: list[Row], start: str) -> list[str]:
    (found,) = [line for line in tables(rows).splitlines() if line.startswith(start)]
    return [text.strip() for text in found.strip("|").split("|")]


@pytest.mark.parametrize(("ours", "peers", "word"), [(0.88, 0.8, "surely better"), (0.8, 0.88, "surely worse")])
def test_a_cell_that_we_lose_is_shown_like_one_that_we_win(ours: float, peers: float, word: str) -> None:
    rows = [row(after=ours, seed=seed) for seed in range(3)] + [row(after=peers, seed=seed, **PEER) for seed in (0, 1)]

    found = line(rows, "| cifar10-resnet56 | 500 | 0.7 | PRACTISE")

    assert word in found
    assert "6000 s, worked out" in found
    assert "0.03" in found


def test_a_win_over_a_shortened_peer_shows_nothing_and_a_loss_is_one() -> None:
    for ours, met in ((0.88, None), (0.7, False)):
        rows = [row(after=ours), row(after=0.8, shortened="50 + 200 steps", **PEER)]

        (bar,) = [bar for bar in bars(rows, cells(rows)) if bar.what.startswith("better mean than practise")]

        assert (bar.met, bar.found) == (met, f"{int(ours > 0.8)} of 1, 1 of 1 cells against a shortened one")
        assert line(rows, "| cifar10-resnet56 | 500 | 0.7 | PRACTISE")[3] == "PRACTISE, 50 + 200 steps"


def test_a_duel_is_of_the_seeds_that_both_have() -> None:
    found = cells([row(after=0.88, seed=0), row(after=0.5, seed=1), row(after=0.86, seed=0, **PEER)])
    ours, peer = found.values()

    fought = duel(ours, peer)

    assert fought is not None
    assert fought.difference.value == pytest.approx(2)
    assert duel(ours, cells([row(seed=7, **PEER)]).popitem()[1]) is None


def test_a_mean_that_loses_more_than_it_may_is_missed() -> None:
    lost = {0.896: True, 0.89: False}

    for after, met in lost.items():
        rows = [row(after=after, seed=seed) for seed in range(3)]
        (found,) = [bar for bar in bars(rows, cells(rows)) if bar.what == "cifar10-resnet56, 500 images, 0.7"]
        assert found.met is met


def test_accuracy_at_another_ratio_wins_nothing() -> None:
    slow = {"measured_ratio": 0.99, "outcome": "no_gain"}
    rows = [row(after=0.9, seed=seed, **slow) for seed in (0, 1)] + [row(after=0.8, **PEER)]

    lost, duels = (
        next(bar for bar in bars(rows, cells(rows)) if bar.what.startswith(start))
        for start in ("cifar10-resnet56, 500 images, 0.7", "better mean than practise")
    )

    assert (lost.met, duels.met) == (False, False)
    assert "slower than asked" in tables(rows)


def test_a_cell_that_only_the_peer_can_do_is_lost() -> None:
    refused = {name: row()[name] for name in ("model", "kind", "images", "latency_ratio", "seed")} | {
        "error": "too far"
    }

    (bar,) = [
        bar for bar in bars([], cells([refused, row(**PEER)])) if bar.what.startswith("better mean than practise")
    ]

    assert (bar.found, bar.met) == ("0 of 1", False)


def test_nothing_is_met_that_was_not_run() -> None:
    assert [bar for bar in bars([], {}) if bar.met is not None] == []
    assert "| open |" in tables([])


@pytest.mark.parametrize(
    ("change", "what", "met"),
    [
        ({"measured_ratio": 0.72}, "ratio within 2 %", False),
        ({"measured_ratio": 0.713}, "ratio within 2 %", True),
        ({"measured_ratio": 0.8, "outcome": "target_missed_best_effort"}, "ratio within 2 %", True),
        ({"measured_ratio_low": 1.01}, "surely slower", False),
        ({"job_seconds": 301.0}, "cifar10-resnet56: longest job", False),
        ({"job_seconds": 301.0, "cores": 1}, "cifar10-resnet56: longest job", None),
        ({"stages": {"score": 61.0}}, "cifar10-resnet56: all units scored", False),
    ],
)
def test_the_bars_of_jobs(change: dict[str, object], what: str, met: bool | None) -> None:
    rows = [row(**change)]

    (found,) = [bar for bar in bars(rows, cells(rows)) if bar.what.startswith(what)]

    assert found.met is met


def test_the_share_won_back_is_held_against_the_plain_drop() -> None:
    changes = {"kind": "recovered", "images": 0, "top1_plain": 50.0, "top1_with_images": 90.0}
    rows = [row(after=0.8, **changes), row(after=0.74, seed=1, **changes)]

    assert line(rows, "| cifar10-resnet56 | 0 |")[-1] == "68%"
    (bar,) = [bar for bar in bars(rows, cells(rows)) if "won back" in bar.what]
    assert bar.met is False


def test_strange_images_are_held_against_usual_ones_of_the_same_seeds() -> None:
    rows = [row(after=0.88), row(after=0.5, seed=1), row(after=0.85, kind="foreign")]

    (bar,) = [bar for bar in bars(rows, cells(rows)) if "500 foreign" in bar.what]

    assert (bar.found, bar.met) == ("3.00", False)


def test_strange_images_that_stop_all_cuts_are_no_success() -> None:
    rows = [row(), row(after=0.9, kind="imbalanced", measured_ratio=1.0, outcome="no_gain")]

    (bar,) = [bar for bar in bars(rows, cells(rows)) if "500 imbalanced" in bar.what]

    assert bar.met is False


def test_steps_that_the_clock_did_not_let_be_taken_are_not_saved() -> None:
    taken = [
        row(recovery={"steps": 300, "steps_planned": 600, "stopped_by": "early_stop"}),
        row(recovery={"steps": 1200, "steps_planned": 1200, "stopped_by": "schedule"}),
        row(recovery={"steps": 1, "steps_planned": 600, "stopped_by": "budget"}),
    ]

    (bar,) = [bar for bar in bars(taken, {}) if "held-out stop" in bar.what]

    assert (bar.found, bar.met) == ("25%, mean of 2 of 3 jobs", False)


@pytest.mark.parametrize(("size", "seconds", "met"), [(8, 190.0, True), (7, 190.0, False), (8, 210.0, False)])
def test_a_front_is_of_eight_in_the_time_of_two_jobs(size: int, seconds: float, met: bool) -> None:
    front = [{"measured_ratio": 0.5 + number / 20, "points": -0.5} for number in range(size)]
    rows = [row(), row(kind="front", front=front, job_seconds=seconds)]

    (bar,) = [bar for bar in bars(rows, cells(rows)) if "a front from one job" in bar.what]

    assert bar.met is met
    assert "0.50: -0.5, 0.55: -0.5" in tables(rows)


def test_a_file_need_not_come_again_where_the_clock_ended_the_training() -> None:
    again = {"kind": "again", "same_cuts": True, "same_file": False}
    rows = [row(**again, recovery={"stopped_by": "budget"})]
    sure = [row(**again, recovery={"stopped_by": "early_stop"})]

    assert {bar.what[:13]: bar.met for bar in bars(rows, {}) if "same table" in bar.what}["the same file"] is None
    assert {bar.what[:13]: bar.met for bar in bars(sure, {}) if "same table" in bar.what}["the same file"] is False


def test_a_refusal_is_in_the_table() -> None:
    refused = {
        **{name: row()[name] for name in ("model", "kind", "images", "latency_ratio", "seed")},
        "error": "too | far",
    }

    assert line([refused, row(latency_ratio=0.8)], "| cifar10-resnet56 | job | 500 | 0.7 |")[-1] == "too / far"


def test_every_line_of_a_table_has_as_many_cells() -> None:
    rows = [row(), row(after=0.8, **PEER), row(kind="foreign", after=0.7), row(kind="l1-filters", after=0.7)]
    rows.append(row(kind="recovered", images=0, top1_plain=50.0, top1_with_images=90.0))

    for part in tables(rows).split("\n\n"):
        counts = {line.count("|") for line in part.splitlines() if line.startswith("|")}
        assert len(counts) <= 1


def test_the_plot_has_a_panel_for_each_network_and_number_of_images() -> None:
    rows = [row(latency_ratio=ratio, measured_ratio=ratio, seed=seed) for ratio in (0.6, 0.7) for seed in (0, 1)]
    rows += [row(images=50), row(model="<vgg>"), row(after=0.8, **PEER)]

    drawing = ElementTree.fromstring(plot(cells(rows)))  # our own text

    texts = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    titles = [text for text in texts if text and text.endswith("images")]
    assert titles == ["cifar10-resnet56, 500 images", "cifar10-resnet56, 50 images", "<vgg>, 500 images"]
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}polyline"))) == 4


def test_a_plot_of_nothing_is_a_plot() -> None:
    assert ElementTree.fromstring(plot({})).tag.endswith("svg")  # our own text


def test_of_two_runs_of_the_peer_the_one_of_more_steps_counts(tmp_path: Path) -> None:
    costs = {"score_cpu_seconds": 50.0, "tune_cpu_seconds": 300.0, "tune_steps": 2000}
    rows = [row(**costs, score_steps=steps) for steps in (100, 2000, 400)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))

    (found,) = practise_rows(tmp_path / "rows.jsonl")

    assert (found["score_steps"], found["cpu_seconds_published"], found["shortened"]) == (2000, 350.0, None)


def test_fewer_steps_of_the_peer_are_extrapolated_to_the_published_ones(tmp_path: Path) -> None:
    steps = {"score_steps": 100, "score_cpu_seconds": 50.0, "tune_steps": 2000, "tune_cpu_seconds": 300.0}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row(**steps)) + "\n")

    (found,) = practise_rows(tmp_path / "rows.jsonl")

    assert (found["kind"], found["cpu_seconds"], found["cpu_seconds_published"]) == ("practise", 350.0, 1300.0)
    assert found["points"] == pytest.approx(-2.0)
    assert found["shortened"] == "100 + 2000 steps"
