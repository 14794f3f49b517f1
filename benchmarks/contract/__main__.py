"""`python -m benchmarks.contract`: at least 10,000 cases by schemathesis, on a service with a stand-in for the engine.

Examples, coverage, fuzzing and stateful runs, slice after slice with the next seed, until there are enough. Of every
answer it checks: no 5xx; every 4xx and 5xx is a problem with a code that the operation promises; status, media type,
headers and body are as the document says; what the document forbids is refused; a key is asked for; what was deleted
is gone.
The last line is one JSON object; its exit status is 1 if any check failed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contract.site import running_site
from benchmarks.contract.slices import DRAWN, LEFT_OUT, PHASES, Counts, Slice, run
from benchmarks.markdown import lines
from benchmarks.record import Machine, keep, machine


def main() -> int:
    asked = _asked()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the service is stopped on the way out
    started, seed, counted = time.monotonic(), asked.seed, Counts([], [])
    with tempfile.TemporaryDirectory(prefix="secateur-contract-") as folder, running_site(Path(folder)) as site:
        while counted.total < asked.cases and seed < asked.seed + asked.slices:
            phases = [name for name in asked.phases.split(",") if seed == asked.seed or name in DRAWN]
            if not phases:
                break
            one = run(site, Slice(seed, asked.examples, tuple(phases)))
            counted = Counts(counted.cases + one.cases, counted.failures + one.failures)
            print(f"seed {seed}: {one.total} cases, {len(one.failures)} failures", file=sys.stderr)
            seed += 1
    figures = _figures(counted, range(asked.seed, seed), time.monotonic() - started)
    for failure in counted.failures:
        print(json.dumps(failure, indent=1), file=sys.stderr)
    if asked.keep:
        _keep(counted, figures, machine(), asked.examples)
    print(json.dumps(figures))
    return 1 if counted.failures else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.contract", description="Hold the service to its document.")
    parser.add_argument("--cases", type=int, default=10_000, help="at least so many")
    parser.add_argument("--examples", type=int, default=40, help="of an operation in each phase that draws them")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--seed", type=int, default=1, help="of the first slice; the next has the next one")
    parser.add_argument("--slices", type=int, default=20, help="at most so many")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/contract.*")
    return parser.parse_args()


def _figures(counted: Counts, seeds: range, seconds: float) -> dict[str, Any]:
    statuses: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    for row in counted.cases:
        statuses[str(row["status"])] += row["cases"]
        phases[row["phase"]] += row["cases"]
    return {
        "cases": counted.total,
        "operations": len({row["operation"] for row in counted.cases}),
        "server_errors": sum(count for status, count in statuses.items() if status.startswith("5")),
        "failures": len(counted.failures),
        "statuses": dict(sorted(statuses.items())),
        "phases": dict(phases),
        "seeds": [seeds.start, seeds.stop - 1],
        "seconds": round(seconds),
    }


def _keep(counted: Counts, figures: dict[str, Any], here: Machine, examples: int) -> None:
    """Write the figures, and a table of how often each operation answered how."""
    of: dict[str, Counter[str]] = {}
    for row in counted.cases:
        of.setdefault(row["operation"], Counter())[str(row["status"])] += row["cases"]
    rows = [
        (f"`{name}`", str(sum(found.values())), ", ".join(f"{status}: {found[status]}" for status in sorted(found)))
        for name, found in sorted(of.items())
    ]
    first, last = figures["seeds"]
    told = [
        f"{figures['cases']} cases, {figures['failures']} failures, {figures['server_errors']} server errors.",
        f"Seeds {first} to {last}, {examples} examples of an operation in a phase; `python -m benchmarks.contract`.",
        here.sentence(),
        *(f"Left out: `{check}`, {reason}." for check, reason in LEFT_OUT.items()),
        "",
        *lines(("operation", "cases", "answers"), rows),
    ]
    keep("contract", here, [figures | {"machine": asdict(here)}, *counted.cases], "\n".join(told))


if __name__ == "__main__":
    sys.exit(main())
