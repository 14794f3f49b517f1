"""What must be shown: each bar with what was found, and whether that meets it. What was not run is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.channels.cases import OURS, PEERS, SIZED_IMAGES
from benchmarks.channels.cells import MISSED_BY, Cell, Key, difference_of
from benchmarks.channels.shapes import STRUCTURES
from benchmarks.trained.sources import NETWORKS
from engine.recipe import METHODS

Found = Mapping[Key, Cell]

CNNS = tuple(name for name in NETWORKS if name != "cifar10-vit")
LAW = 1e-5
WON_BACK = 0.7
PEER_POINTS = 3.0
AUTO_AT_LEAST, AUTO_WORSE_BY = 4, 0.5
WIDER_FASTER = 0.97
SIZE_BARS = {500: (600.0, 4.0), 0: (60.0, 4.0)}
"""Images -> seconds and GiB at most, on two cores."""


class Line(NamedTuple):
    """`met` is None where nothing was run that could tell."""

    what: str
    bar: str
    found: str
    met: bool | None

    def texts(self) -> list[str]:
        verdict = "open" if self.met is None else "met" if self.met else "**missed**"
        return [self.what, self.bar, self.found, verdict]


def bars(found: Found) -> list[Line]:
    """Return one line a bar."""
    lines = [*_law(found), *_won_back(found), *_peers(found), *_structures(found), *_auto(found), *_ordering(found)]
    return [*lines, *_widths(found), *_sizes(found)]


def _law(found: Found) -> Iterator[Line]:
    errors = [row["law"] for cell in _of_kind(found, "methods") for row in cell.rows if row.get("law") is not None]
    text = f"{max(errors):.1e} at worst, {len(errors)} sets of cuts" if errors else ""
    yield Line("channels removed are channels ignored", f"{LAW:g}", text, max(errors) <= LAW if errors else None)


def _won_back(found: Found) -> Iterator[Line]:
    for model in CNNS:
        cell = found.get((model, "methods", OURS))
        what, bar = f"{model}: won back by the closed form alone", f"at least {WON_BACK:.0%} at 1.5 times"
        if cell is None or not cell.rows:
            yield Line(what, bar, "", None)
            continue
        share = cell.share_won_back()
        text = "the cuts cost less than a point" if share is None else f"{share:.0%}"
        text += f" at {cell.mean('measured_ratio'):.3f}"
        yield Line(what, bar, text, cell.is_reached and (share is None or share >= WON_BACK))


def _peers(found: Found) -> Iterator[Line]:
    """Hold `auto` against what a peer made that is no faster; one that could only cut more is none of these."""
    for peer in PEERS:
        tried = [cell for cell in _of_kind(found, "peers") if cell.what == peer]
        gains = []
        for cell in tried:
            ours = found.get((cell.model, "methods", OURS))
            gain = difference_of(cell, ours) if ours is not None and _is_no_faster(cell, ours) else None
            gains += [gain.value] if gain is not None else []
        mean = sum(gains) / max(len(gains), 1)
        text = f"{mean:+.2f}, mean of {len(gains)} networks of {len(tried)} tried" if gains else ""
        met = mean >= PEER_POINTS if gains else None
        yield Line(f"better than {peer} at equal latency", f"{PEER_POINTS:g} points in the mean", text, met)


def _is_no_faster(peer: Cell, ours: Cell) -> bool:
    return bool(MISSED_BY * peer.mean("measured_ratio") >= ours.mean("measured_ratio"))


def _structures(found: Found) -> Iterator[Line]:
    for model in STRUCTURES:
        cell = found.get((model, "structure", OURS))
        ratio = cell.mean("measured_ratio_high") if cell is not None and cell.rows else None
        text = "" if ratio is None else f"ratio at most {ratio:.3f}"
        yield Line(f"{model}: a real speed-up", "surely faster", text, None if ratio is None else ratio < 1)


def _auto(found: Found) -> Iterator[Line]:
    """Hold `auto` against the best of the methods that reached the ratio of the same upload.

    One with its batch norms left in is slower itself, and so is easily made faster.
    """
    margins = {}
    for model in CNNS:
        ours = found.get((model, "methods", OURS))
        singles = [found.get((model, "methods", name)) for name in METHODS if name != OURS]
        alike = [cell for cell in singles if ours is not None and cell is not None and _one_upload(ours, cell)]
        reached = [cell.mean("top1_after") for cell in alike if cell.is_reached]
        if ours is not None and ours.rows and ours.is_reached and reached:
            margins[model] = ours.mean("top1_after") - max(reached)
        elif ours is not None and ours.rows and reached:
            margins[model] = float("-inf")
    good = sum(margin >= 0 for margin in margins.values())
    text = ", ".join(f"{model} {margin:+.2f}" for model, margin in margins.items())
    whole = len(margins) == len(CNNS)
    most = f"at least {AUTO_AT_LEAST} of {len(CNNS)}"
    yield Line(
        "`auto` at least as good as the best single method", most, text, good >= AUTO_AT_LEAST if whole else None
    )
    worst = min(margins.values(), default=0.0)
    met = None if not margins else False if worst < -AUTO_WORSE_BY else True if whole else None
    yield Line("`auto` never worse by more than", f"{AUTO_WORSE_BY:g} points", f"{worst:+.2f}" if margins else "", met)


def _one_upload(first: Cell, second: Cell) -> bool:
    uploads = {row["upload"] for cell in (first, second) for row in cell.rows}
    return bool(first.rows and second.rows) and len(uploads) == 1


def _ordering(found: Found) -> Iterator[Line]:
    """ThiNet before L1 without any training; zeros save no time."""
    gains = []
    for model in CNNS:
        pair = [found.get((model, "methods", name)) for name in ("thinet", "l1")]
        if all(cell is not None and cell.rows for cell in pair):
            thinet, l1 = (cell.mean("top1_plain") for cell in pair if cell is not None)
            reached = "/".join(f"{cell.mean('measured_ratio'):.2f}" for cell in pair if cell is not None)
            gains.append((model, thinet - l1, reached))
    text = ", ".join(f"{model} {gain:+.1f} at {reached}" for model, gain, reached in gains)
    met = all(gain >= 0 for _, gain, _ in gains) if gains else None
    yield Line("ThiNet at least as good as L1, cuts alone", "every network, or say why", text, met)
    thinned = [cell for cell in _of_kind(found, "methods") if cell.what == "magnitude" and cell.rows]
    ratios = [cell.mean("measured_ratio") for cell in thinned]
    text = f"ratios {min(ratios):.3f} to {max(ratios):.3f}" if ratios else ""
    yield Line("zeros among the weights save no time", "within 5 %", text, min(ratios) >= 0.95 if ratios else None)


def _widths(found: Found) -> Iterator[Line]:
    for cell in _of_kind(found, "widths"):
        least = [row["least_wider_ratio"] for row in cell.rows if row["least_wider_ratio"] is not None]
        text = f"fastest wider one {min(least):.3f}" if least else "no group is narrower"
        met = not least or min(least) >= WIDER_FASTER
        yield Line(f"{cell.model}: no next wider width is faster", "by more than 3 %", text, met)
    if not _of_kind(found, "widths"):
        yield Line("no next wider width is faster", "by more than 3 %", "", None)


def _sizes(found: Found) -> Iterator[Line]:
    rows = {row["images"]: row for cell in _of_kind(found, "size") for row in cell.rows}
    for images in SIZED_IMAGES:
        seconds, gib = SIZE_BARS[images]
        what, bar = f"ResNet-50's size, {images} images", f"{seconds:g} s and {gib:g} GiB on two cores"
        row = rows.get(images)
        if row is None:
            yield Line(what, bar, "", None)
        else:
            text = f"{row['job_seconds']:.0f} s, {row['peak_bytes'] / 2**30:.2f} GiB on {row['cores']} cores"
            met = row["job_seconds"] <= seconds and row["peak_bytes"] <= gib * 2**30
            yield Line(what, bar, text, met if row["cores"] <= 2 or not met else None)


def _of_kind(found: Found, kind: str) -> list[Cell]:
    return [cell for cell in found.values() if cell.kind == kind]
