"""What the service adds to a job: `python -m benchmarks.overhead` makes one job by the command line and by the service.

Same network, images, recipe and seed, in turn. By `python -m engine compress` a job takes from its start to its end; by
a fresh `secateur-server` from the first byte of the upload to the last of what is delivered, on a new installation each
time, which knows neither the files nor how long such jobs take. The last line is one JSON object; returns 1 when the
service adds more than 5 s and 5 % of the command line's time (median of the pairs).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.markdown import lines
from benchmarks.record import keep, machine
from client import Client
from client.compress import compress
from client.progress import Lines
from examples.embedded import running_service

ALLOWED_SECONDS: Final = 5.0
ALLOWED_SHARE: Final = 0.05
STEPS: Final = {
    "upload": (None, "submitted_at"),
    "examination": ("submitted_at", "queued_at"),
    "queue": ("queued_at", "running_at"),
    "run": ("running_at", "finished_at"),
    "download": ("finished_at", None),
}
"""Of a job by the service: from which moment to which; None is the client's own clock."""

Row = dict[str, Any]


def main() -> int:
    """Make the pairs, keep what was found, and return 1 when the bound does not hold."""
    options = _parse()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="secateur-bench-") as made:
        folder = options.folder or Path(made)
        if not (folder / "digits.onnx").exists():
            subprocess.run([sys.executable, "-m", "examples.digits", str(folder)], check=True)
        recipe = _recipe(options)
        (folder / "recipe.json").write_text(json.dumps(recipe))
        for pair in range(options.pairs):
            rows.append(_pair(pair, folder, recipe, Path(made)))
            print(_sentence(rows[-1]), flush=True)
    found = summary(rows)
    keep("overhead", machine(), rows, _table(rows, found, recipe))
    print(json.dumps(found))
    return 0 if found["holds"] else 1


def summary(rows: Sequence[Row]) -> Row:
    """Return the medians over the pairs, in seconds, and whether what is added keeps its bound."""
    engine = statistics.median(row["engine"] for row in rows)
    added = statistics.median(row["service"] - row["engine"] for row in rows)
    allowed = ALLOWED_SECONDS + ALLOWED_SHARE * engine
    steps = {f"{step}_seconds": round(statistics.median(row[step] for row in rows), 2) for step in STEPS}
    return {
        "pairs": len(rows),
        "engine_seconds": round(engine, 2),
        "service_seconds": round(statistics.median(row["service"] for row in rows), 2),
        "added_seconds": round(added, 2),
        "allowed_seconds": round(allowed, 2),
        **steps,
        "holds": added <= allowed,
    }


def _pair(number: int, folder: Path, recipe: Row, scratch: Path) -> Row:
    """Make the job in both ways, each first in every other pair: a busy neighbour comes and goes."""
    ways = [
        lambda: _by_command_line(folder, scratch / f"engine-{number}"),
        lambda: _by_service(folder, recipe, scratch),
    ]
    row: Row = {"pair": number + 1}
    for way in ways if number % 2 == 0 else reversed(ways):
        row |= way()
    return row


def _by_command_line(folder: Path, out: Path) -> Row:
    out.mkdir()
    command = [sys.executable, "-m", "engine", "compress", str(folder / "digits.onnx"), "--out", str(out)]
    command += ["--calibration", str(folder / "calibration.zip"), "--recipe", str(folder / "recipe.json")]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    report = json.loads((out / "report.json").read_text())
    return {"engine": seconds, "engine_cuts": _cuts(report)}


def _by_service(folder: Path, recipe: Row, scratch: Path) -> Row:
    with running_service(scratch / "service.log") as service, Client(service.url, service.key) as client:
        _wait_until_ready(client)
        began, began_at = time.monotonic(), time.time()
        files, unseen = (folder / "digits.onnx", folder / "calibration.zip"), Lines(Console(file=io.StringIO()))
        delivery = compress(client, *files, recipe, scratch / "pruned.onnx", unseen)
        seconds, ended_at = time.monotonic() - began, time.time()
    return {"service": seconds, "service_cuts": _cuts(delivery.report), **_steps(delivery.job.raw, began_at, ended_at)}


def _wait_until_ready(client: Client) -> None:
    """Wait until a worker beats: a service is started once, and that is no job's time."""
    while client.connection.send_once("GET", "/readyz").status_code != 200:
        time.sleep(0.1)


def _steps(job: Row, began_at: float, ended_at: float) -> Row:
    def moment(name: str | None, otherwise: float) -> float:
        return otherwise if name is None else datetime.fromisoformat(job[name]).timestamp()

    return {step: moment(until, ended_at) - moment(since, began_at) for step, (since, until) in STEPS.items()}


def _cuts(report: Row) -> list[str]:
    return sorted(unit["name"] for unit in report["units"] if unit["decision"] == "cut")


def _recipe(options: argparse.Namespace) -> Row:
    """Whole blocks, so many: then both ways have the same to do, whatever the clock says meanwhile."""
    return {
        "target": {"units": options.units},
        "method": {"name": "practise"},
        "deploy": {"provider": "cpu", "threads": 1, "batch": 32},
        "budget_seconds": options.budget_seconds,
        "seed": options.seed,
    }


def _sentence(row: Row) -> str:
    steps = ", ".join(f"{step} {row[step]:.2f}" for step in STEPS)
    return f"pair {row['pair']}: engine {row['engine']:.2f} s, service {row['service']:.2f} s ({steps})"


def _table(rows: Sequence[Row], found: Row, recipe: Row) -> str:
    here = machine().sentence()
    words = [
        f"`python -m benchmarks.overhead --pairs {len(rows)} --budget-seconds {recipe['budget_seconds']}`; {here}",
        f"Digits network, 100 images, {recipe['target']['units']} blocks; seconds.",
        f"Added: {found['added_seconds']:.2f} s (median), where {found['allowed_seconds']:.2f} s are allowed.",
    ]
    head = ["pair", "command line", "service", "added", *STEPS]
    body = [
        [
            str(row["pair"]),
            *(f"{value:.2f}" for value in (row["engine"], row["service"], row["service"] - row["engine"])),
            *(f"{row[step]:.2f}" for step in STEPS),
        ]
        for row in rows
    ]
    return "\n".join([*words, "", *lines(head, body)])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--units", type=int, default=3, help="blocks that are to go")
    parser.add_argument("--budget-seconds", type=int, default=30, help="of each job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where `python -m examples.digits` has written; absent: it is run")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
