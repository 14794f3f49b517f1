"""Any graph, shown: `python -m benchmarks.zoo [--families ...] [--opsets 18 20 23] [--data DIR]`.

One row a model and opset: does the executor agree with ONNX Runtime, what can be removed, does a real cut stay valid
and keep the surgery law; beside it what onnxsim and Torch-Pruning make of the same network. One JSON line a row on
standard output, a Markdown table at the end; both are kept with commit and machine. Rows of a commit are done once,
and a version of a peer is asked once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, Answer, ask_once
from benchmarks.record import keep, machine
from benchmarks.zoo.export import default_cache
from benchmarks.zoo.families import FAMILIES
from benchmarks.zoo.measure import measure
from benchmarks.zoo.specimens import STRANGERS, Specimen, specimens
from benchmarks.zoo.table import table

Row = dict[str, Any]


def main() -> None:
    options = _parser().parse_args()
    here = machine()
    asked = list(specimens(options.families, options.opsets, options.data, options.strangers, options.cache))
    memory = RowMemory(options.cache / "rows", here.commit)
    started, rows = time.monotonic(), []
    for done, specimen in enumerate(asked):
        _say_where(specimen, done, len(asked), time.monotonic() - started)
        row = memory.row(specimen) or memory.keep(_row(specimen))
        rows.append({**row, "peers": {peer: asdict(_ask(peer, specimen, options)) for peer in options.peers}})
        print(json.dumps(rows[-1]), flush=True)
    text = f"{table(rows)}\n\n{here.sentence()}"
    print(text)
    keep(options.name, here, rows, text)


class RowMemory:
    """What the rows of one commit came to, so that a run that was stopped goes on; uncommitted code leaves none."""

    def __init__(self, folder: Path, commit: str) -> None:
        self._file = None if commit.endswith("+") else folder / f"{commit}.jsonl"
        lines = self._file.read_text().splitlines() if self._file and self._file.exists() else []
        self._rows: list[Row] = [json.loads(line) for line in lines]

    def row(self, specimen: Specimen) -> Row | None:
        """Return what is remembered of a specimen, None where that is nothing."""
        return next((row for row in self._rows if (row["name"], row["opset"]) == (specimen.name, specimen.opset)), None)

    def keep(self, row: Row) -> Row:
        """Remember a row and return it."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as lines:
                lines.write(json.dumps(row) + "\n")
        return row


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--opsets", nargs="+", type=int, default=[18, 20, 23])
    parser.add_argument("--data", type=Path, help="a folder of trained networks (*.onnx)")
    parser.add_argument("--strangers", nargs="*", choices=STRANGERS, default=list(STRANGERS), metavar="FILE")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--limit-seconds", type=float, default=180, help="what a peer may take for one network")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where exports and peers' answers are kept")
    parser.add_argument("--name", default="zoo", help="of the result files")
    return parser


def _row(specimen: Specimen) -> Row:
    row: Row = {"name": specimen.name, "kind": specimen.kind, "opset": specimen.opset}
    try:
        path = specimen.path()
    except Exception as error:  # an export that fails is a row like any other
        return {**row, "error": f"no file: {error}"}
    return row | measure(path, specimen.shape)


def _ask(peer: str, specimen: Specimen, options: argparse.Namespace) -> Answer:
    """Ask a peer for the same network: onnxsim by its file, Torch-Pruning, which reads no ONNX, by its module."""
    memory, seconds = options.cache / "peers", options.limit_seconds
    if peer == "onnxsim":
        path, sizes = specimen.path(), [str(size) for size in specimen.shape or ()]
        return ask_once(peer, [str(path), *sizes], seconds, memory, path.stem)
    if specimen.kind != "torchvision":
        return Answer(None, "takes torch modules, no ONNX")
    return ask_once(peer, [specimen.name], seconds, memory, specimen.name)


def _say_where(specimen: Specimen, done: int, total: int, seconds: float) -> None:
    left = f"about {seconds / done * (total - done) / 60:.0f} min left" if done else "no estimate yet"
    print(f"{done + 1} of {total}: {specimen.name}, opset {specimen.opset}; {left}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
