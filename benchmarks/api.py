"""What the API costs: polls and submissions against a bare FastAPI endpoint, uploads against `cp` and nginx, memory.

`python -m benchmarks.api` starts a web process, and what it is held against, and measures part after part; `--parts`
chooses some. The last line is one JSON object; a figure of a part that was left out is null, and `reasons` says why.

`poll_ratio`, `submit_ratio`: status polls and durable submissions a second over those of the bare endpoint, measured in
turn (median of the rounds). `upload_vs_cp`, `upload_vs_nginx`: how many times longer an upload takes than `cp` and than
nginx's PUT, each with sync (median of the rounds). `upload_rss_growth_mb`: how much higher the web process's peak of
memory is after the large upload than after the small one. `stream_rss_mb`: its memory with all event streams open.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.api_rows import Rows, empty_queue, prepare
from benchmarks.record import RESULTS, machine
from benchmarks.request_rates import Pair, measure_polls, measure_submits
from benchmarks.served import server
from benchmarks.stream_cost import allow_files, measure_streams
from benchmarks.upload_cost import measure_memory, measure_times
from core.settings import Settings

Figures = dict[str, Any]

BARE: Final = ("-m", "uvicorn", "benchmarks.bare_endpoint:app", "--no-access-log")


class Site(NamedTuple):
    """Where a part is measured: our web process, the bare endpoint beside it, and a folder on the same disk."""

    pid: int
    port: int
    bare_pid: int
    bare_port: int
    folder: Path
    rows: Rows


def _pair(site: Site) -> Pair:
    return Pair(site.bare_pid, site.bare_port, site.pid, site.port)


PARTS: Final[dict[str, Callable[[argparse.Namespace, Site], Figures]]] = {
    "polls": lambda asked, site: measure_polls(asked, _pair(site), site.rows),
    "submits": lambda asked, site: measure_submits(
        asked, _pair(site), site.rows, lambda: empty_queue(Settings(data_dir=site.folder))
    ),
    "streams": lambda asked, site: measure_streams(site.pid, site.port, site.rows, site.folder, asked.streams),
    "memory": lambda asked, site: measure_memory(
        site.pid, site.port, site.rows.key, site.folder, asked.small_mb, asked.large_mb
    ),
    "uploads": lambda asked, site: measure_times(
        site.port, site.rows.key, site.folder, asked.upload_mb, asked.upload_rounds
    ),
}

PART_OF: Final = {
    "poll_ratio": "polls",
    "submit_ratio": "submits",
    "upload_vs_cp": "uploads",
    "upload_vs_nginx": "uploads",
    "upload_rss_growth_mb": "memory",
    "stream_rss_mb": "streams",
}
BOUNDS: Final[dict[str, Callable[[Figures], bool]]] = {
    "polls": lambda found: bool(found["poll_ratio"] >= 0.55),
    "submits": lambda found: bool(found["submit_ratio"] >= 0.25),
    "streams": lambda found: bool(found["stream_rss_mb"] <= 400),
    "memory": lambda found: bool(found["upload_rss_growth_mb"] <= 32),
    "uploads": lambda found: bool(found["upload_vs_cp"] <= 6 or (found["upload_vs_nginx"] or 99) <= 3),
}
"""Of the two for uploads, one is enough."""


def main() -> int:
    """Measure what was asked for; return 1 when a bound does not hold."""
    options = _parse()
    found: dict[str, Figures] = {}
    allow_files(options.streams)
    for name in options.parts:
        with _site() as site:  # each part its own, so that none finds the rows and the memory of another
            found[name] = PARTS[name](options, site)
        print(f"{name}: {json.dumps(found[name])}, {'holds' if BOUNDS[name](found[name]) else 'DOES NOT HOLD'}")
    if options.keep:
        _keep(found)
    print(json.dumps(_summary(found)))
    return 0 if all(BOUNDS[name](figures) for name, figures in found.items()) else 1


def _summary(found: dict[str, Figures]) -> Figures:
    """Lay the figures of all parts side by side, and say why one is missing."""
    figures: Figures = dict.fromkeys(PART_OF)
    for part in found.values():
        figures |= part
    missing = {name: "left out by --parts" for name, part in PART_OF.items() if part not in found}
    if "uploads" in found and figures["upload_vs_nginx"] is None:
        missing["upload_vs_nginx"] = "nginx is not installed"
    return figures | ({"reasons": missing} if missing else {})


@contextmanager
def _site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="secateur-bench-") as folder:
        rows = prepare(Settings(data_dir=Path(folder)))
        with (
            server(["-m", "uvicorn", "benchmarks.bare_endpoint:app", "--no-access-log"], folder, "/") as (
                bare,
                bare_port,
            ),
            server(["-m", "app"], folder, "/healthz") as (process, port),
        ):
            yield Site(process.pid, port, bare.pid, bare_port, Path(folder), rows)


def _keep(found: dict[str, Figures]) -> None:
    """Write each part's figures with commit and machine, in place of those of its last run; other parts stay."""
    path, here = RESULTS / "api.json", machine()
    kept = json.loads(path.read_text()) if path.exists() else {}
    for name, figures in found.items():
        kept[name] = figures | {"measured": here.sentence()}
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps({name: kept[name] for name in PARTS if name in kept}, indent=1) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.api", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure; all")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement of requests")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each kind of request")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=1000, help="event streams that are open at once")
    parser.add_argument("--small-mb", type=int, default=64, help="of the upload that memory is compared from")
    parser.add_argument("--large-mb", type=int, default=2048, help="of the upload that memory is compared to")
    parser.add_argument("--upload-mb", type=int, default=512, help="of the uploads that are timed")
    parser.add_argument("--upload-rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="write what was measured to benchmarks/results/api.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
