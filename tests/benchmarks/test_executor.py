"""The plumbing of the executor's benchmark: everything runs equally often, and the bar is the best of the natives."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.executor import best_native, figures, table, time_in_turn
from benchmarks.record import Machine

SECONDS = {
    "native": [4.0, 4.4, 4.2],
    "native, batch norm folded": [2.0, 2.2, 2.1],
    "native, compiled": [1.0, 1.0, 1.0],
    "executor": [3.0, 3.3, 3.15],
}


def test_each_variant_is_run_once_a_repeat_and_once_to_warm_up() -> None:
    runs, ticks = {"native": 0, "executor": 0}, iter(range(100))

    def running(name: str) -> Tensor:
        runs[name] += 1
        return torch.ones(2, requires_grad=True)

    variants = {"native": lambda: running("native"), "executor": lambda: running("executor")}
    seconds = time_in_turn(variants, 3, lambda: float(next(ticks)))

    assert runs == {"native": 4, "executor": 4}
    assert seconds == {"native": [1.0] * 3, "executor": [1.0] * 3}


def test_the_bar_is_the_fastest_native_that_is_not_compiled() -> None:
    best = best_native(SECONDS)

    assert best == "native, batch norm folded"
    assert figures(SECONDS["executor"], SECONDS[best])["ratio"] == 1.5


def test_the_table_says_what_was_compared_and_what_was_not_measured() -> None:
    best = best_native(SECONDS)
    result = {
        "model": "tiny",
        "batch": 2,
        "repeats": 3,
        "threads": 1,
        "device": "cpu",
        "best_native": best,
        "variants": {name: figures(SECONDS[name], SECONDS[best]) for name in ("native", best, "executor")},
    }

    text = table([result], Machine("abc", "2026-01-01", "a processor", 2, "a runtime"))

    assert "| tiny | executor | 3.150 | 1.500 (" in text
    assert "is of tiny: native, batch norm folded." in text
    assert "Not measured: a GPU, torch.compile." in text
