"""Depth pruning on trained networks, ours beside peers: `python -m benchmarks.depth --data DIR`.

Each case draws its calibration images by seed, runs the engine's own command line, and is judged on test images that
the engine never sees: accuracy before and after, paired, and an own interleaved measurement of latency. One JSON line a
case on standard output, Markdown tables and a plot at the end, kept with commit, machine and seeds. A run that was
stopped goes on, as long as the committed engine is the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.depth.cases import KINDS, Case, Grid, cases
from benchmarks.depth.cells import cells
from benchmarks.depth.plot import plot
from benchmarks.depth.practise import practise_rows
from benchmarks.depth.schedule import Files, run_all
from benchmarks.depth.table import tables
from benchmarks.record import keep, keep_plot, machine
from benchmarks.trained.memory import Memory, Row, add_of, engine_tree, values_of
from benchmarks.trained.sources import CACHE, NETWORKS, networks_there

JUDGED_SECONDS = 90
"""What drawing and judging take beside a job, where nothing is known of its like."""

LONG = ("hits", "hits_before", "latency_table")
"""Needed for pairing, and for the same job again; kept out of the results."""


def main() -> None:
    options = _parser().parse_args()
    files = networks_there(options.models, options.data, options.networks)
    asked = cases(_grid(options, list(files)))
    memory = Memory(options.rows, engine_tree(options.of))
    if options.plan:
        print(_plan(asked, files, memory, options.jobs))
        return
    here = machine()
    rows: list[Row] = []
    if options.of:
        here = dataclasses.replace(here, commit=options.of)
        rows = [row | _known_of_ours(row) for row in memory.of_networks([digest for _, digest in files.values()])]
    else:
        for row in run_all(asked, files, options.data, memory, options.jobs):
            rows.append(row | _known_of_ours(row))
            print(json.dumps(_without_long(rows[-1])), flush=True)
    if options.practise.exists():
        rows += [row for row in practise_rows(options.practise) if row["model"] in files]
    text = f"{tables(rows)}\n\n{_how(rows)} {here.sentence()}"
    print(text)
    keep(options.name, here, [_without_long(row) for row in rows], f"{text}\n\n![points lost]({options.name}.svg)")
    keep_plot(options.name, plot(cells(rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.depth", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of networks and pictures")
    trained, peers = "of the networks that `benchmarks.networks` trained", "of `benchmarks.peers.practise`, JSON lines"
    parser.add_argument("--networks", type=Path, default=CACHE / "networks", help=f"folder {trained}")
    parser.add_argument("--practise", type=Path, default=CACHE / "practise.jsonl", help=f"results {peers}")
    usual = [name for name in NETWORKS if name != "cifar10-vit"]
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=usual)
    kinds = "; ".join(f"{name}: {meaning}" for name, meaning in KINDS.items())
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help=kinds)
    parser.add_argument("--images", nargs="+", type=int, default=[500, 50, 0])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.7, 0.8, 0.6, 0.5])
    parser.add_argument("--extra-ratios", nargs="+", type=float, default=[0.7], help="of all kinds but jobs and peers")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1, help="of the deployed network")
    parser.add_argument("--budget-seconds", type=float, help="of one job on all cores; absent: each network's own")
    parser.add_argument("--jobs", type=int, default=1, help="cases side by side, each with its part of the cores")
    parser.add_argument("--plan", action="store_true", help="say what would run and how long it takes, and stop")
    parser.add_argument("--rows", type=Path, default=CACHE / "rows.jsonl", help="where finished cases are remembered")
    add_of(parser)
    parser.add_argument("--name", default="depth", help="of the result files")
    return parser


def _grid(options: argparse.Namespace, models: Sequence[str]) -> Grid:
    return Grid(
        models=models,
        kinds=options.kinds,
        images=options.images,
        ratios=options.ratios,
        extra_ratios=options.extra_ratios,
        seeds=options.seeds,
        batch=options.batch,
        threads=options.threads,
        cores=len(os.sched_getaffinity(0)),
        jobs=options.jobs,
        budget_seconds=options.budget_seconds,
    )


def _plan(asked: Sequence[Case], files: Files, memory: Memory, jobs: int) -> str:
    """Say what would run: one line a case, then how many are known already, and the time of the others."""
    lines, seconds, known = [], 0.0, 0
    for case in asked:
        remembered = memory.find(case, files[case.model][1]) is not None
        expected = 0.0 if remembered else memory.seconds(case) or case.budget_seconds + JUDGED_SECONDS
        known, seconds = known + remembered, seconds + expected
        name = f"{case.model:28} {case.kind:11} {case.images:4} images  {case.latency_ratio:g}  seed {case.seed}"
        lines.append(f"{name}  {'known' if remembered else f'{expected:4.0f} s'}")
    lines.append(
        f"{len(asked)} cases, {known} known; the others take {seconds / jobs / 3600:.1f} h at most, or as before."
    )
    return "\n".join(lines)


def _known_of_ours(row: Row) -> Row:
    """A job of ours, or a peer that runs as published, is not extrapolated."""
    return {} if row.get("error") else {"cpu_seconds_published": row["cpu_seconds"]}


def _without_long(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in LONG}


def _how(rows: Sequence[Row]) -> str:
    """Say under which conditions the rows are; jobs on a part of the cores had others beside them, and more time."""
    all_of = functools.partial(values_of, rows)
    return (
        f"Batch {all_of('batch')}, {all_of('threads')} thread(s), seeds {all_of('seed')}; jobs of "
        f"{all_of('budget_seconds')} s on {all_of('cores')} core(s)."
    )


if __name__ == "__main__":
    main()
