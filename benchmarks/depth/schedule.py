"""The cases in turn, or some side by side with a part of the cores each; who starts from another's result waits."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

from benchmarks.depth.cases import Case, parent
from benchmarks.depth.run import Task, run
from benchmarks.trained.memory import Memory, Row, engine_tree

Files = Mapping[str, tuple[Path, str]]  # model -> its file and digest


def run_all(cases: Sequence[Case], files: Files, data: Path, memory: Memory, jobs: int) -> Iterator[Row]:
    """Yield each case's row as soon as it is known; what is remembered is not run again."""
    done: dict[Case, Row] = {}
    for case in cases:
        remembered = memory.find(case, files[case.model][1])
        if remembered is not None:
            done[case] = remembered
            yield remembered

    def task(case: Case) -> Task:
        first = parent(case)
        return Task(case, files[case.model][0], data, done[first] if first else None)

    with ExitStack() as stack:
        slots = [stack.enter_context(_slot(cores)) for cores in shares_of_cores(jobs)]
        for case, result in in_order([case for case in cases if case not in done], done, slots, task):
            _require_unchanged(memory.engine)
            done[case] = memory.keep(case, files[case.model][1], result)
            yield done[case]


def in_order(
    waiting: Sequence[Case], done: Mapping[Case, Row], slots: Sequence[Executor], task: Callable[[Case], Task]
) -> Iterator[tuple[Case, Row]]:
    """Yield what cases come to, as many at once as there are slots; the reader puts them into `done`."""
    left, free, started = list(waiting), list(slots), time.monotonic()
    running: dict[Future[Row], tuple[Case, Executor]] = {}
    while left or running:
        for case in [case for case in left if parent(case) is None or parent(case) in done][: len(free)]:
            left.remove(case)
            slot = free.pop()
            running[slot.submit(run, task(case))] = case, slot
            _say(case, len(waiting) - len(left), len(waiting), time.monotonic() - started)
        future = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
        case, slot = running.pop(future)
        free.append(slot)
        yield case, future.result()


def shares_of_cores(jobs: int) -> list[set[int]]:
    """Return which cores each of so many jobs has for itself."""
    cores = sorted(os.sched_getaffinity(0))
    if jobs > len(cores):
        raise SystemExit(f"--jobs {jobs} asks for a core each; there are {len(cores)}.")
    return [set(cores[place::jobs]) for place in range(jobs)]


def _slot(cores: set[int]) -> Executor:
    """Return one process on these cores; its children inherit them, and it counts their processor time alone."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), os.sched_setaffinity, (0, cores))


def _require_unchanged(engine: str) -> None:
    """Stop where somebody commits to the engine meanwhile: the rows would be of nobody knows what."""
    now = engine_tree()
    if now != engine and not engine.endswith("+"):
        raise SystemExit(f"The engine was {engine} when the run began and is {now}. Run from a clone of your own.")


def _say(case: Case, number: int, total: int, seconds: float) -> None:
    left = f"about {seconds / (number - 1) * (total - number + 1) / 60:.0f} min left" if number > 1 else "no estimate"
    what = f"{case.model} {case.kind}, {case.images} images, {case.latency_ratio}, seed {case.seed}"
    print(f"{number} of {total}: {what}; {left}", file=sys.stderr, flush=True)
