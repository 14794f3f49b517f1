"""Requests a second: status polls and durable submissions beside a bare endpoint, each loaded in turn.

Neighbours on the machine slow all alike, so a ratio is of one round, and the median of the rounds is what counts.
The same ratio of the processor time that a server takes for an answer stands beside it: it hardly knows of neighbours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.api_rows import Rows
from benchmarks.served import processor_seconds

Target = dict[str, Any]


class Pair(NamedTuple):
    """The bare endpoint and our web process: their processes and their ports."""

    bare_pid: int
    bare_port: int
    our_pid: int
    our_port: int


class Round(NamedTuple):
    """Answers a second of both, and the processor seconds that each took for an answer."""

    bare: float
    ours: float
    bare_seconds: float
    our_seconds: float


def measure_polls(options: argparse.Namespace, pair: Pair, rows: Rows) -> dict[str, float]:
    """Return how many polls of a running job are answered, over what the bare endpoint answers."""
    poll = {"port": pair.our_port, "path": f"/v1/jobs/{rows.claims[0].job_id}", "headers": rows.headers}
    return _in_turn(options, pair, poll, "poll")


def measure_submits(
    options: argparse.Namespace, pair: Pair, rows: Rows, empty_queue: Callable[[], None]
) -> dict[str, float]:
    """Return how many submissions are answered, each on the disk by then, over what the bare endpoint answers.

    Each round begins with an empty queue: an answer tells the new job's place, for which all that wait are counted.
    """
    body = json.dumps({"model_id": rows.model_id})
    submit = {"port": pair.our_port, "path": "/v1/jobs", "headers": rows.headers, "body": body, "status": 202}
    return _in_turn(options, pair, submit, "submit", empty_queue)


def _in_turn(
    options: argparse.Namespace, pair: Pair, ours: Target, name: str, before: Callable[[], None] = lambda: None
) -> dict[str, float]:
    plain: Target = {"port": pair.bare_port, "path": "/", "headers": {}}
    for target in (plain, ours):
        _load(target, options.connections, 0.5)
    rounds = []
    for turn in range(options.rounds):
        before()
        asked = [(plain, pair.bare_pid), (ours, pair.our_pid)]
        found = {pid: _timed(target, pid, options) for target, pid in (asked if turn % 2 == 0 else asked[::-1])}
        (bare, bare_seconds), (our, our_seconds) = found[pair.bare_pid], found[pair.our_pid]
        one = Round(bare, our, bare_seconds, our_seconds)
        rounds.append(one)
        told = f"bare {one.bare:.0f}/s, {name} {one.ours:.0f}/s, ratio {one.ours / one.bare:.3f}"
        print(f"round {turn + 1}: {told}, of processor time {one.bare_seconds / one.our_seconds:.3f}", flush=True)
    return {
        f"{name}_ratio": round(statistics.median(one.ours / one.bare for one in rounds), 3),
        f"{name}_processor_ratio": round(statistics.median(one.bare_seconds / one.our_seconds for one in rounds), 3),
        f"{name}_per_second": round(statistics.median(one.ours for one in rounds)),
        f"{name}_bare_per_second": round(statistics.median(one.bare for one in rounds)),
    }


def _timed(target: Target, pid: int, options: argparse.Namespace) -> tuple[float, float]:
    """Return the answers per second, and the server's processor seconds for each."""
    before = processor_seconds(pid)
    rate = _load(target, options.connections, options.seconds)
    return rate, (processor_seconds(pid) - before) / (rate * options.seconds)


def _load(target: Target, connections: int, seconds: float) -> float:
    """Return the answers per second to the load generator, a process of its own."""
    asked = json.dumps(target | {"connections": connections, "seconds": seconds})
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(done.stdout)
    if found["failures"]:
        expected = target.get("status", 200)
        raise RuntimeError(
            f"{found['failures']} of {found['answers']} answers from {target['path']} were not {expected}"
        )
    return float(found["answers"] / found["seconds"])
