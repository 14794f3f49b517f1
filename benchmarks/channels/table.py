"""All cells as Markdown: methods, peers, structures, widths, size, controls, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.channels.bars import bars
from benchmarks.channels.cases import OURS
from benchmarks.channels.cells import Cell, Key, cells, difference_of
from benchmarks.markdown import lines, signed
from benchmarks.trained.memory import Row

Lines = list[str]


def tables(rows: Sequence[Row]) -> str:
    """Return what must be shown with its verdicts, and below it the tables that the verdicts come from."""
    found = cells(rows)
    parts = {
        "What must be shown": lines(["what", "bar", "found", ""], (line.texts() for line in bars(found))),
        "Methods": _methods(found),
        "Beside peers, asked for what ours measured": _peers(found),
        "Structure and time, random weights": _structures(found),
        "One step wider": _widths(found),
        "ResNet-50's size": _sizes(found),
        "Trained from scratch": _scratch(found),
        "Zeros": _zeros(found),
        "Where a method does not apply, and why": _refused(found),
    }
    return "\n\n".join(f"## {title}\n\n" + "\n".join(part) for title, part in parts.items() if len(part) > 2)


def _methods(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "method", "seeds", "measured ratio", "units", "channels", "top-1 before", "cuts alone"]
    head += ["closed form", "won back", "after", "points (95 %, paired)", "law", "job", "outcome"]
    return lines(head, (_method(cell) for cell in _of_kind(found, "methods")))


def _method(cell: Cell) -> list[str]:
    share = cell.share_won_back()
    laws = cell.values("law")
    return [
        cell.model,
        cell.what,
        _seeds(cell),
        spread(cell, "measured_ratio", 3),
        spread(cell, "units_cut", 0),
        spread(cell, "channels_cut", 0),
        f"{cell.mean('top1_before'):.1f}",
        spread(cell, "top1_plain", 1),
        spread(cell, "top1_closed_form", 1),
        "" if share is None else f"{share:.0%}",
        spread(cell, "top1_after", 1),
        signed(cell.points()),
        f"{max(laws):.0e}" if len(laws) else "",
        f"{cell.mean('job_seconds'):.0f} s",
        ", ".join(sorted({row["outcome"] for row in cell.rows})),
    ]


def _peers(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "peer", "seeds", "ratio ours", "ratio peer", "peer before training", "points ours", "points peer"]
    return lines([*head, "ours - peer (95 %, paired)"], (_peer(found, cell) for cell in _of_kind(found, "peers")))


def _peer(found: Mapping[Key, Cell], cell: Cell) -> list[str]:
    ours = found[cell.model, "methods", OURS]
    gain = difference_of(cell, ours)
    return [
        cell.model,
        cell.what,
        _seeds(cell),
        spread(ours, "measured_ratio", 3),
        spread(cell, "measured_ratio", 3),
        spread(cell, "top1_untrained", 1),
        spread(ours, "points", 2),
        spread(cell, "points", 2),
        "" if gain is None else signed(gain),
    ]


def _structures(found: Mapping[Key, Cell]) -> Lines:
    head = ["network", "by", "measured ratio (95 %)", "speed-up", "part of the multiply-accumulates"]
    rows = []
    for cell in _of_kind(found, "structure"):
        row = cell.rows[0]
        interval = f"({row['measured_ratio_low']:.3f} to {row['measured_ratio_high']:.3f})"
        ratio = row["measured_ratio"]
        rows.append([cell.model, cell.what, f"{ratio:.3f} {interval}", f"{1 / ratio:.2f}", f"{row['macs_ratio']:.3f}"])
    return lines(head, rows)


def _widths(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "seeds", "groups timed", "grid", "least time one step wider", "group"]
    rows = []
    for cell in _of_kind(found, "widths"):
        least = min(cell.rows, key=lambda row: row["least_wider_ratio"] or 2.0)
        told = "" if least["least_wider_ratio"] is None else f"{least['least_wider_ratio']:.3f}"
        grid = str(least["width_multiple"])
        timed = spread(cell, "groups_timed", 0)
        rows.append([cell.model, _seeds(cell), timed, grid, told, least["fastest_wider"] or ""])
    return lines(head, rows)


def _sizes(found: Mapping[Key, Cell]) -> Lines:
    rows = [
        [
            str(row["images"]),
            f"{row['job_seconds']:.0f} s on {row['cores']} cores",
            f"{row['cpu_seconds']:.0f} s",
            f"{row['peak_bytes'] / 2**30:.2f} GiB",
            f"{row['reported_ratio']:.3f}",
            row["outcome"],
        ]
        for cell in _of_kind(found, "size")
        for row in cell.rows
    ]
    return lines(["images", "job", "processor", "peak memory", "ratio", "outcome"], rows)


def _scratch(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "control", "top-1", "with its own weights", "rounds", "what it means"]
    rows = []
    for cell in _of_kind(found, "scratch"):
        for row in cell.rows:
            for control in row["controls"]:
                rounds = f"{control['epochs']:.1f} of {control['epochs_planned']}"
                own = [_per_cent(control[name]) for name in ("accuracy", "inherited_accuracy")]
                rows.append([cell.model, control["name"], *own, rounds, control["meaning"]])
    return lines(head, rows)


def _zeros(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "zeros", "of weights", "measured ratio", "compressed bytes before", "after"]
    rows = []
    for cell in _of_kind(found, "methods"):
        zeros = cell.rows[0].get("zeros")
        if zeros:
            sizes = [f"{zeros[f'{name}_compressed_bytes']:,}" for name in ("original", "delivered")]
            counts = [f"{zeros[name]:,}" for name in ("zeros", "weights")]
            rows.append([cell.model, *counts, spread(cell, "measured_ratio", 3), *sizes])
    return lines(head, rows)


def _refused(found: Mapping[Key, Cell]) -> Lines:
    return lines(["network", "kind", "by", "why"], _reasons(found))


def _reasons(found: Mapping[Key, Cell]) -> Iterator[list[str]]:
    for cell in found.values():
        for why in dict.fromkeys(cell.refused):
            yield [cell.model, cell.kind, cell.what, why]


def spread(cell: Cell, name: str, digits: int) -> str:
    """Write the mean over seeds and, where they differ, the least and the most; '' where no row has it."""
    values = cell.values(name)
    if not len(values):
        return ""
    mean, least, most = (f"{number:.{digits}f}" for number in (values.mean(), values.min(), values.max()))
    return mean if least == most else f"{mean} ({least} to {most})"


def _per_cent(interval: Mapping[str, float] | None) -> str:
    return "" if interval is None else f"{100 * interval['value']:.1f}"


def _seeds(cell: Cell) -> str:
    return ", ".join(str(row["seed"]) for row in cell.rows)


def _of_kind(found: Mapping[Key, Cell], kind: str) -> list[Cell]:
    return [cell for cell in found.values() if cell.kind == kind and cell.rows]
