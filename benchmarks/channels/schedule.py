"""The cases one after the other; what is remembered is not run again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.channels.cases import Case, parent
from benchmarks.channels.run import Task, run
from benchmarks.trained.memory import Memory, Row, engine_tree

Files = Mapping[str, tuple[Path, str]]  # network -> its file, or the folder where random ones are made, and its digest


def run_all(
    cases: Sequence[Case], files: Files, data: Path, memory: Memory, runs: Callable[[Task], Row] = run
) -> Iterator[Row]:
    """Yield each case's row as soon as it is known; a case comes after the one that it starts from."""
    done: dict[Case, Row] = {}
    started, fresh = time.monotonic(), 0
    for number, case in enumerate(cases, start=1):
        path, network = files[case.model]
        row = memory.find(case, network)
        if row is None:
            _say(case, number, len(cases), fresh, time.monotonic() - started)
            first = parent(case)
            result = runs(Task(case, path, data, None if first is None else done[first]))
            _require_unchanged(memory.engine)
            row, fresh = memory.keep(case, network, result), fresh + 1
        done[case] = row
        yield row


def _require_unchanged(engine: str) -> None:
    """Stop where somebody commits to the engine meanwhile: the rows would be of nobody knows what."""
    now = engine_tree()
    if now != engine and not engine.endswith("+"):
        raise SystemExit(f"The engine was {engine} when the run began and is {now}. Run from a clone of your own.")


def _say(case: Case, number: int, total: int, fresh: int, seconds: float) -> None:
    left = f"about {seconds / fresh * (total - number + 1) / 60:.0f} min left" if fresh else "no estimate"
    what = f"{case.model} {case.kind} {case.what}, {case.images} images, seed {case.seed}"
    print(f"{number} of {total}: {what}; {left}", file=sys.stderr, flush=True)
