"""Latency predicted against latency measured: `python -m benchmarks.timing --data DIR`.

For each network and each load beside it: two tables of the units' shares as a job measures them, and an own interleaved
measurement of what is left without sets of units, drawn and chosen. One JSON line a set on standard output, Markdown at
the end, kept with commit and machine. With the rows of `benchmarks.depth`, also whether jobs kept their promise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.record import keep, machine
from benchmarks.timing.beside import LOADS, busy
from benchmarks.timing.contract import Contract, Row, Trial
from benchmarks.timing.table import tables
from benchmarks.trained.sources import CACHE, NETWORKS, find_network
from engine.recipe import Deploy

MODELS = ("cifar10-resnet56", "cifar10-resnet20", "imagenet-efficientnet-lite0", "mobilenet-like")


def main() -> None:
    options = _parser().parse_args()
    here, rows, kinds = machine(), [], []
    deploy = Deploy(batch=options.batch, threads=options.threads)
    trial = Trial(deploy, options.sets, options.seed, options.table_seconds, options.measure_seconds)
    for name in options.models:
        network = find_network(name, options.data, options.networks)
        if network is None:
            print(f"{name} is left out: no {name}.onnx. Give its folder by --data or --networks.", file=sys.stderr)
            continue
        contract = Contract(network, trial)
        kinds += [{"model": name, **row} for row in contract.kinds(contract.shares(options.seed))]
        for load in options.loads:
            with busy(load, options.processes):
                for row in contract.rows():
                    rows.append({"model": name, "beside": load, **row})
                    print(json.dumps(rows[-1]), flush=True)
    text = f"{tables(rows, kinds, _jobs(options.depth_rows))}\n\n{_how(options)} {here.sentence()}"
    print(text)
    keep(options.name, here, [*rows, *kinds], text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.timing", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of networks")
    trained = "of the networks that `benchmarks.networks` trained"
    parser.add_argument("--networks", type=Path, default=CACHE / "networks", help=f"folder {trained}")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(MODELS))
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS), help="what runs beside")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="of a load")
    parser.add_argument("--sets", type=int, default=8, help="drawn by chance, beside the chosen ones")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table-seconds", type=float, default=34, help="for one table; a job of 285 s takes as long")
    parser.add_argument("--measure-seconds", type=float, default=6, help="for one set")
    parser.add_argument("--depth-rows", type=Path, help="results/depth.json, for the promises of its jobs")
    parser.add_argument("--name", default="timing", help="of the result files")
    return parser


def _jobs(results: Path | None) -> Sequence[Row]:
    """Return the jobs that a run of `benchmarks.depth` kept, of which something came."""
    if results is None:
        return []
    found: list[Row] = json.loads(results.read_text())["results"]
    return [row for row in found if row.get("kind") == "job" and not row.get("error")]


def _how(options: argparse.Namespace) -> str:
    how = f"Batch {options.batch}, {options.threads} thread(s), seed {options.seed}"
    return f"{how}, loads of {options.processes} processes, tables of {options.table_seconds:g} s."


if __name__ == "__main__":
    main()
