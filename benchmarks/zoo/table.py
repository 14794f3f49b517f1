"""The rows of the zoo as a Markdown table, and in a sentence what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peers import PEERS

PARITY = 1e-4
LAW = 1e-5
ENOUGH = {"stranger": 0.2}
_ENOUGH_ELSEWHERE = 0.3

Row = dict[str, Any]


def table(rows: Sequence[Row]) -> str:
    """Return the table, the summary above it."""
    head = [
        "model",
        "opset",
        "parity",
        "units",
        "groups",
        "largest share",
        "cut",
        "cut parity",
        "law",
        "seconds",
        *PEERS,
    ]
    lines = [_summary(rows), "", _line(head), _line(["---"] * len(head))]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)])


def is_good(row: Row) -> bool:
    """Say whether the network was run, cut deep enough, and cut right."""
    return (
        "error" not in row
        and row["parity"] <= PARITY
        and row["cut_parity"] <= PARITY
        and row["law"] <= LAW
        and row["share"] >= ENOUGH.get(row["kind"], _ENOUGH_ELSEWHERE)
    )


def _summary(rows: Sequence[Row]) -> str:
    good = sum(map(is_good, rows))
    families = {row["name"] for row in rows if row["kind"] == "torchvision"}
    whole = [name for name in families if all(is_good(row) for row in rows if row["name"] == name)]
    asked = {peer: [row for row in rows if peer in row.get("peers", {})] for peer in PEERS}
    peers = [f"{peer} {sum(_answered(row, peer) for row in asked[peer])} of {len(asked[peer])}" for peer in PEERS]
    return (
        f"{good} of {len(rows)} rows: executor within {PARITY:g} of ONNX Runtime before and after the cut, at least "
        f"{_ENOUGH_ELSEWHERE:.0%} of the MACs gone ({ENOUGH['stranger']:.0%} of strangers' files), removed equal to "
        f"ignored within {LAW:g} of the output, or of a tenth of the uncut one where that is more. "
        f"{len(whole)} of {len(families)} families so at every opset. "
        f"Usable results of peers with that share gone: {', '.join(peers)}."
    )


def _answered(row: Row, peer: str) -> bool:
    share = row.get("peers", {}).get(peer, {}).get("share")
    return share is not None and share >= ENOUGH.get(row["kind"], _ENOUGH_ELSEWHERE)


def _cells(row: Row) -> list[str]:
    peers = [_peer(row.get("peers", {}).get(peer)) for peer in PEERS]
    start = [row["name"], str(row["opset"] or "own")]
    if "error" in row:
        return [*start, row["error"], *[""] * 7, *peers]
    return [
        *start,
        f"{row['parity']:.1e}",
        ", ".join(f"{count} {kind}" for kind, count in sorted(row["units"].items())) or "0",
        str(row["groups"]),
        f"{row['largest_share']:.1%}",
        f"{row['share']:.0%} ({row['kept']})",
        f"{row['cut_parity']:.1e}",
        f"{row['law']:.1e}",
        f"{row['seconds']:.1f}",
        *peers,
    ]


def _peer(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "not asked"
    if answer["share"] is None:
        return str(answer["note"])
    return f"{answer['share']:.0%}" + ("" if answer["seconds"] is None else f", {answer['seconds']:.1f} s")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"
