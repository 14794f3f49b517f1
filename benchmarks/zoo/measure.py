"""One row of the zoo: what the engine makes of one file, checked in ONNX Runtime at every step."""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engine.execution.executor import Executor
from engine.execution.runtime import open_session, run
from engine.formats import load, save
from engine.graph.channels.groups import Group, Grouping, find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.model import Model, TensorInfo
from engine.graph.normalise import normalise
from engine.graph.units import find_units
from engine.measure.cost import cost

SEED = 0
ENOUGH = 0.3
"""Share of the multiply-accumulates that a cut is to take."""

DEPTHS = ((0.75, 8), (0.5, 8), (0.25, 8), (0.125, 8), (0.125, 1))
"""How deep a cut is tried, until it takes enough: the part of each group that stays, and how many channels at least."""

Arrays = dict[str, NDArray[Any]]
Outputs = Mapping[str, NDArray[Any]]
Cuts = dict[str, list[int]]
Shape = tuple[int, ...]


def measure(path: Path, shape: Shape | None) -> dict[str, Any]:
    """Load, run, group and cut one file; return what came of it, up to the first error, which is named.

    `parity` is the executor's distance from ONNX Runtime on the upload, `cut_parity` the same on the cut file, `law`
    that of removed from ignored channels, and `effect` that of the cut file from the upload: each the largest
    difference over the largest number. `largest_share` is the share of the MACs that goes where one channel of each
    group stays; shares are 0 to 1. `seconds` is the processor time of the engine's own work, without the runs that
    check it.
    """
    row: dict[str, Any] = {}
    try:
        _Row(row, path, shape).fill()
    except Exception as error:  # whatever stops a row is a result of the benchmark
        lines = str(error).strip().splitlines() or [""]
        row["error"] = f"{type(error).__name__}: {lines[0][:300]}"
    return row


class _Row:
    """The row in the making, and the clock of the engine's own work."""

    def __init__(self, row: dict[str, Any], path: Path, shape: Shape | None) -> None:
        self.row, self.path, self.shape, self.seconds = row, path, shape, 0.0

    def fill(self) -> None:
        with self._clock():
            upload = load(self.path)
            model = normalise(upload)
            units, grouping = find_units(model), find_groups(model)
        self.sizes = {info.name: self.shape or info.shape[1:] for info in model.inputs}
        self.feed = _feed(model.inputs, self.shape)
        self.macs = cost(model, self.sizes).macs
        expected = _in_runtime(upload, self.feed)
        self.row |= {
            "nodes": len(model.nodes()),
            "parity": distance(_executed(model, self.feed), expected),
            "units": dict(Counter(getattr(unit, "kind", "branch") for unit in units)),
            "groups": len(grouping.groups),
            "unknown": sorted({model.nodes()[name].op_type for name in grouping.unknown}),
        }
        self._cut_to_the_last(model, grouping)
        self._cut_enough(model, grouping, expected)
        self.row["seconds"] = round(self.seconds, 2)

    def _cut_to_the_last(self, model: Model, grouping: Grouping) -> None:
        """Leave one channel of each group; what is left must still run."""
        smallest = remove_channels(model, {group.name: list(range(1, group.size)) for group in grouping.groups})
        _in_runtime(smallest, self.feed)
        self.row["largest_share"] = self._share(smallest)

    def _cut_enough(self, model: Model, grouping: Grouping, before: Arrays) -> None:
        """Cut no deeper than needed, save, load, and hold the file against executor, law and upload."""
        for part, fewest in DEPTHS:
            with self._clock():
                cuts = draw_cuts(grouping.groups, part, fewest)
                removed = remove_channels(model, cuts)
            self.row |= {"kept": f"{part:.3g} of each, at least {fewest}", "share": self._share(removed)}
            if self.row["share"] >= ENOUGH:
                break
        delivered = _saved_and_loaded(removed)
        after = _in_runtime(delivered, self.feed)
        self.row["cut_parity"] = distance(_executed(delivered, self.feed), after, before)
        self.row["law"] = distance(after, _in_runtime(ignore_channels(model, cuts), self.feed), before)
        self.row["effect"] = distance(after, before)

    def _share(self, cut: Model) -> float:
        return round(1 - cost(cut, self.sizes).macs / self.macs, 4)

    @contextmanager
    def _clock(self) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds += time.process_time() - started


def draw_cuts(groups: Iterable[Group], part: float, fewest: int) -> Cuts:
    """Choose by a fixed seed the channels that go, so that `part` of each group stays (0 to 1), `fewest` at least."""
    choice, cuts = random.Random(SEED), {}
    for group in groups:
        kept = max(math.ceil(group.size * part), min(fewest, group.size), 1)
        if kept < group.size:
            cuts[group.name] = sorted(choice.sample(range(group.size), group.size - kept))
    return cuts


def distance(found: Outputs, expected: Outputs, uncut: Outputs | None = None) -> float:
    """Return the largest difference of any output, relative to the largest number that was expected of it.

    A cut may leave an output that is all but zero, a map of probabilities for one: a tenth of what it was before the
    cut, as `uncut` has it, is the least that differences are held against.
    """
    worst = 0.0
    for name, numbers in expected.items():
        if found[name].shape != numbers.shape or not np.isfinite(found[name]).all():
            return float("inf")
        floor = float(np.abs(uncut[name]).max(initial=0.0)) / 10 if uncut else 1e-12
        largest = max(float(np.abs(numbers).max(initial=0.0)), floor)
        worst = max(worst, float(np.abs(found[name].astype(np.float64) - numbers).max(initial=0.0)) / largest)
    return float(f"{worst:.2g}")


def _feed(inputs: Iterable[TensorInfo], shape: Shape | None) -> Arrays:
    """Write one page of text for each input; `shape` fills in where the file leaves the size open."""
    feed = {}
    for info in inputs:
        batch = info.shape[0] if isinstance(info.shape[0], int) and info.shape[0] > 0 else 1
        channels, height, width = (size for size in shape or info.shape[1:] if isinstance(size, int))
        feed[info.name] = np.tile(_page(height, width), (batch, channels, 1, 1)).astype(info.dtype)
    return feed


def _page(height: int, width: int) -> NDArray[Any]:
    """Draw words and a little noise, from -1 to 1 or so: on noise alone, text detectors answer with zeros."""
    page = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(page)
    for line in range(4, height, 24):
        pen.text((4, line), "Secateur cuts 0123456789 " * 8, fill=0, font_size=16)
    noise = np.random.default_rng(SEED).standard_normal((height, width)) / 10
    return np.asarray(page, np.float32) / 127.5 - 1 + noise


def _in_runtime(model: Model, feed: Arrays) -> Arrays:
    return run(open_session(model, spinning=False), feed)


def _executed(model: Model, feed: Arrays) -> Arrays:
    with torch.inference_mode():
        outputs = Executor(model)({name: torch.from_numpy(array) for name, array in feed.items()})
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def _saved_and_loaded(model: Model) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder) / "cut.onnx")
        return load(Path(folder) / "cut.onnx")
