"""Every method of cutting on trained networks, ours beside peers: `python -m benchmarks.channels --data DIR`.

Each job is given 128 unlabelled images, drawn by seed, and is asked for 1.5 times the speed; it runs as a user would
start it, and is judged on test images that it never sees. One JSON line a case on standard output, Markdown tables and
a plot at the end, kept with commit, machine and seeds. A run that was stopped goes on, as long as the committed engine
is the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.channels.cases import KINDS, Case, Grid, cases
from benchmarks.channels.cells import cells
from benchmarks.channels.plot import plot
from benchmarks.channels.schedule import Files, run_all
from benchmarks.channels.table import tables
from benchmarks.record import keep, keep_plot, machine
from benchmarks.trained.memory import Memory, Row, add_of, engine_tree, values_of
from benchmarks.trained.sources import CACHE, NETWORKS, networks_there
from benchmarks.zoo.export import default_cache
from engine.recipe import METHODS

ALIKE = ("model", "kind", "what", "images", "cores", "budget_seconds")
JUDGED_SECONDS = 90
"""What drawing and judging take beside a job, where nothing is known of its like."""

LONG = ("hits", "hits_before", "cuts")
"""Needed for pairing, and to start from; kept out of the results."""


def main() -> None:
    options = _parser().parse_args()
    models = networks_there(options.models, options.data, options.networks)
    asked = cases(_grid(options, list(models)))
    made = {case.model for case in asked} - models.keys()
    files = models | {name: (options.exports, f"random, torchvision {version('torchvision')}") for name in made}
    memory = Memory(options.rows, engine_tree(options.of), ALIKE)
    if options.plan:
        print(_plan(asked, files, memory))
        return
    here = machine()
    rows: list[Row] = []
    if options.of:
        here = dataclasses.replace(here, commit=options.of)
        rows = _in_order(asked, memory.of_networks({digest for _, digest in files.values()}))
    else:
        for row in run_all(asked, files, options.data, memory):
            rows.append(row)
            print(json.dumps(_without_long(row)), flush=True)
    text = f"{tables(rows)}\n\n{_how(rows)} {here.sentence()}"
    print(text)
    keep(options.name, here, [_without_long(row) for row in rows], f"{text}\n\n![points lost]({options.name}.svg)")
    keep_plot(options.name, plot(cells(rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.channels", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of networks and pictures")
    trained = "folder of the networks that `benchmarks.networks` trained"
    parser.add_argument("--networks", type=Path, default=CACHE / "networks", help=trained)
    parser.add_argument("--exports", type=Path, default=default_cache(), help="where random networks are kept")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    kinds = "; ".join(f"{name}: {meaning}" for name, meaning in KINDS.items())
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help=kinds)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--ratio", type=float, default=0.67, help="asked latency over the upload's")
    parser.add_argument("--images", type=int, default=128, help="without labels, of each job")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1, help="of the deployed network")
    parser.add_argument("--budget-seconds", type=float, help="of one job; absent: each network's own")
    parser.add_argument("--plan", action="store_true", help="say what would run and how long it takes, and stop")
    parser.add_argument("--rows", type=Path, default=CACHE / "channels.jsonl", help="where finished cases are kept")
    add_of(parser)
    parser.add_argument("--name", default="channels", help="of the result files")
    return parser


def _grid(options: argparse.Namespace, models: Sequence[str]) -> Grid:
    return Grid(
        models=models,
        kinds=options.kinds,
        methods=options.methods,
        seeds=options.seeds,
        ratio=options.ratio,
        images=options.images,
        batch=options.batch,
        threads=options.threads,
        cores=len(os.sched_getaffinity(0)),
        budget_seconds=options.budget_seconds,
    )


def _plan(asked: Sequence[Case], files: Files, memory: Memory) -> str:
    """Say what would run: one line a case, then how many are known already, and the time of the others."""
    lines, seconds, known = [], 0.0, 0
    for case in asked:
        remembered = memory.find(case, files[case.model][1]) is not None
        expected = 0.0 if remembered else memory.seconds(case) or case.budget_seconds + JUDGED_SECONDS
        known, seconds = known + remembered, seconds + expected
        name = f"{case.model:28} {case.kind:10} {case.what:20} {case.images:4} images  seed {case.seed}"
        lines.append(f"{name}  {'known' if remembered else f'{expected:4.0f} s'}")
    lines.append(f"{len(asked)} cases, {known} known; the others take {seconds / 3600:.1f} h at most, or as before.")
    return "\n".join(lines)


def _in_order(asked: Sequence[Case], rows: Sequence[Row]) -> list[Row]:
    """Return the rows in the order of the cases; what was remembered and not asked for comes last."""
    places = {(case.model, case.kind, case.what): place for place, case in reversed(list(enumerate(asked)))}
    return sorted(rows, key=lambda row: places.get((row["model"], row["kind"], row["what"]), len(places)))


def _how(rows: Sequence[Row]) -> str:
    """Say under which conditions the rows are."""
    all_of = functools.partial(values_of, rows)
    return (
        f"{all_of('images')} images, without labels but for the controls, batch {all_of('batch')}, {all_of('threads')} "
        f"thread(s), seeds {all_of('seed')}; jobs of {all_of('budget_seconds')} s on {all_of('cores')} core(s)."
    )


def _without_long(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in LONG}


if __name__ == "__main__":
    main()
