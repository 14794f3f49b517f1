"""Programs that keep the cores busy while something is timed: calculating, copying memory, or coming and going."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np


def calculate() -> None:
    """Multiply matrices that fit into the nearest cache, without end."""
    matrix = np.random.default_rng(0).standard_normal((256, 256), dtype=np.float32)
    while True:
        matrix @ matrix


def copy_memory() -> None:
    """Copy what fits into no cache, without end: other programs wait for the same memory."""
    source = np.ones(2**24, np.float64)
    target = np.empty_like(source)
    while True:
        np.copyto(target, source)


def come_and_go() -> None:
    """Calculate for a while and rest for a while, each of a random length, without end."""
    generator = np.random.default_rng(os.getpid())
    matrix = generator.standard_normal((256, 256), dtype=np.float32)
    while True:
        until = time.monotonic() + generator.exponential(0.2)
        while time.monotonic() < until:
            matrix @ matrix
        time.sleep(generator.exponential(0.2))


LOADS: dict[str, Callable[[], None] | None] = {
    "quiet": None,
    "calculating": calculate,
    "memory": copy_memory,
    "bursts": come_and_go,
}


@contextmanager
def busy(load: str, processes: int) -> Iterator[None]:
    """Let so many processes run beside; they are gone at the end, whatever happens."""
    work = LOADS[load]
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=work, daemon=True) for _ in range(processes if work else 0)]
    try:
        for process in started:
            process.start()
        yield
    finally:
        for process in started:
            process.kill()
            process.join()
