"""All cells as Markdown: ours, ours beside each peer, without images at the same cuts, and with strange images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.depth.bars import bars
from benchmarks.depth.cells import Cell, Key, cells, duel
from benchmarks.depth.markdown import name_of, spread
from benchmarks.markdown import lines, signed
from benchmarks.trained.memory import Row

PEERS = {"practise": "PRACTISE", "l1-filters": "L1 filters"}

Lines = list[str]


def tables(rows: Sequence[Row]) -> str:
    """Return what must be shown with its verdicts, and below it the tables that the verdicts come from."""
    found = cells(rows)
    parts = {
        "What must be shown": lines(["what", "bar", "found", ""], (line.texts() for line in bars(rows, found))),
        "Jobs": _jobs(found, "job"),
        "Whole units alone": _jobs(found, "units"),
        "Beside peers": _peers(found),
        "Without images, at the cuts of the job with 50": _recovered(found),
        "Strange images": _strange(found),
        "Fronts, each network as measured here": lines(["model", "images", "job", "ratio: points"], _fronts(rows)),
        "Refused": lines(["model", "kind", "images", "asked", "why"], _refused(found)),
    }
    return "\n\n".join(f"## {title}\n\n" + "\n".join(part) for title, part in parts.items() if len(part) > 2)


def _jobs(found: Mapping[Key, Cell], kind: str) -> Lines:
    head = ["model", "images", "asked", "seeds", "measured ratio", "units", "groups", "top-1 before", "after"]
    head += ["points (95 %, paired)", "job", "processor", "outcome"]
    chosen = [cell for cell in found.values() if cell.kind == kind and cell.rows]
    return lines(head, ([*name_of(cell), *_job(cell)] for cell in chosen))


def _job(cell: Cell) -> Iterator[str]:
    yield _seeds(cell)
    yield spread(cell, "measured_ratio", 3)
    yield spread(cell, "units_cut", 0)
    yield spread(cell, "groups_cut", 0)
    yield f"{cell.mean('top1_before'):.1f}"
    yield spread(cell, "top1_after", 1)
    yield signed(cell.points())
    cores = sorted({row["cores"] for row in cell.rows})
    yield f"{cell.mean('job_seconds'):.0f} s on {'/'.join(map(str, cores))} core{'s' * (cores != [1])}"
    yield f"{cell.mean('cpu_seconds'):.0f} s"
    yield ", ".join(sorted({row["outcome"] for row in cell.rows}))


def _peers(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "images", "asked", "peer", "ratio ours", "ratio peer", "points ours", "points peer"]
    head += [
        "ours - peer (95 %, paired)",
        "verdict",
        "processor ours",
        "processor peer",
        "at its published steps",
        "part",
    ]
    rows = []
    for (model, kind, images, ratio), peer in found.items():
        ours = found.get((model, "job", images, ratio))
        if kind in PEERS and ours is not None:
            name = f"{PEERS[kind]}, {peer.shortened}" if peer.shortened else PEERS[kind]
            rows.append([*name_of(peer), name, *_beside(ours, peer)])
    return lines(head, rows)


def _beside(ours: Cell, peer: Cell) -> list[str]:
    fought = duel(ours, peer)
    if fought is None:
        reason = "; ".join((*peer.refused, *ours.refused)) or "no seed in common"
        return ["", "", "", "", "", reason, "", "", "", ""]
    used, published = ours.mean("cpu_seconds"), peer.mean("cpu_seconds_published")
    return [
        spread(ours, "measured_ratio", 3),
        spread(peer, "measured_ratio", 3),
        spread(ours, "points", 2),
        spread(peer, "points", 2),
        signed(fought.difference),
        fought.verdict,
        f"{used:.0f} s",
        f"{peer.mean('cpu_seconds'):.0f} s",
        "as run" if published == peer.mean("cpu_seconds") else f"{published:.0f} s, worked out",
        f"{used / published:.2f}",
    ]


def _recovered(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "images", "asked", "seeds", "top-1 plain", "no images", "50 images", "share won back"]
    chosen = [cell for cell in found.values() if cell.kind == "recovered" and cell.rows]
    accuracies = ("top1_plain", "top1_after", "top1_with_images")
    rows = [
        [*name_of(cell), _seeds(cell), *(spread(cell, name, 1) for name in accuracies), f"{cell.share_won_back():.0%}"]
        for cell in chosen
    ]
    return lines(head, rows)


def _strange(found: Mapping[Key, Cell]) -> Lines:
    head = ["model", "images", "asked", "which", "points", "points of usual ones", "difference (95 %, paired)"]
    rows = []
    for (model, kind, images, ratio), cell in found.items():
        usual = found.get((model, "job", images, ratio))
        fought = duel(cell, usual) if kind in ("foreign", "imbalanced") and usual else None
        if fought is not None:
            rows.append([*name_of(cell), kind, spread(cell, "points", 2), spread(fought.peer, "points", 2)])
            rows[-1].append(signed(fought.difference))
    return lines(head, rows)


def _fronts(rows: Sequence[Row]) -> Iterator[list[str]]:
    for row in rows:
        for_each = [f"{each['measured_ratio']:.2f}: {each['points']:+.1f}" for each in row.get("front", ())]
        if for_each:
            yield [row["model"], str(row["images"]), f"{row['job_seconds']:.0f} s", ", ".join(for_each)]


def _refused(found: Mapping[Key, Cell]) -> Iterator[list[str]]:
    for cell in found.values():
        for why in dict.fromkeys(cell.refused):
            yield [cell.model, cell.kind, str(cell.images), f"{cell.ratio:g}", why]


def _seeds(cell: Cell) -> str:
    return ", ".join(map(str, cell.seeds))
