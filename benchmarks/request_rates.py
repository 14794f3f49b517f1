"""Requests a second: status polls and durable submissions beside a bare endpoint, each loaded in turn.

Neighbours on the machine slow all alike, so a ratio is of one round, and the median of the rounds is what counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.api_rows import Rows

Target = dict[str, Any]


def measure_polls(options: argparse.Namespace, bare: int, ours: int, rows: Rows) -> dict[str, float]:
    """Return how many polls of a running job are answered, over what the bare endpoint answers."""
    poll = {"port": ours, "path": f"/v1/jobs/{rows.claims[0].job_id}", "headers": rows.headers}
    return _in_turn(options, bare, poll, "poll")


def measure_submits(
    options: argparse.Namespace, bare: int, ours: int, rows: Rows, empty_queue: Callable[[], None]
) -> dict[str, float]:
    """Return how many submissions are answered, each on the disk by then, over what the bare endpoint answers.

    Each round begins with an empty queue: an answer tells the new job's place, for which all that wait are counted.
    """
    body = json.dumps({"model_id": rows.model_id})
    submit = {"port": ours, "path": "/v1/jobs", "headers": rows.headers, "body": body, "status": 202}
    return _in_turn(options, bare, submit, "submit", empty_queue)


def _in_turn(
    options: argparse.Namespace, bare: int, ours: Target, name: str, before: Callable[[], None] = lambda: None
) -> dict[str, float]:
    plain: Target = {"port": bare, "path": "/", "headers": {}}
    for target in (plain, ours):
        _load(target, options.connections, 0.5)
    pairs = []
    for turn in range(options.rounds):
        before()
        pair = (plain, ours) if turn % 2 == 0 else (ours, plain)
        found = {id(target): _load(target, options.connections, options.seconds) for target in pair}
        bare_rate, our_rate = found[id(plain)], found[id(ours)]
        pairs.append((bare_rate, our_rate))
        told = f"round {turn + 1}: bare {bare_rate:.0f}/s, {name} {our_rate:.0f}/s, ratio {our_rate / bare_rate:.3f}"
        print(told, flush=True)
    return {
        f"{name}_ratio": round(statistics.median(our_rate / bare_rate for bare_rate, our_rate in pairs), 3),
        f"{name}_per_second": round(statistics.median(rate for _, rate in pairs)),
        f"{name}_bare_per_second": round(statistics.median(rate for rate, _ in pairs)),
    }


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
