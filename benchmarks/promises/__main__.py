"""`python -m benchmarks.promises`: what users are promised, shown on real processes, database by database.

`turns`: behind 1,000 jobs of one project, another project's first job begins next. `places`: the place in the queue
that is told is the place. `events`: 50 forced cuts of an event stream, nothing lost and nothing twice. `estimates`: 50
jobs through real workers with a stand-in engine; fractions never go back, and the late bound holds. The last line is
one JSON object; returns 1 when a promise was not kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from benchmarks.promises.estimates import JOBS, show_estimates
from benchmarks.promises.events import CUTS, show_events
from benchmarks.promises.site import Site, running_site
from benchmarks.promises.turns import show_places, show_turns
from benchmarks.record import RESULTS, machine

PROMISES: Final[dict[str, Callable[[Site], dict[str, Any]]]] = {
    "turns": show_turns,
    "places": show_places,
    "events": show_events,
    "estimates": show_estimates,
}
KEPT: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    "turns": lambda found: found["begun_before_the_first_job"] == 0 and found["place_told"] == 1,
    "places": lambda found: found["wrong"] == 0 and found["places_told"] > 0,
    "events": lambda found: (
        found["cuts"] >= CUTS and found["lost"] == found["seen_twice"] == 0 and found["ended_as"] == "succeeded"
    ),
    "estimates": lambda found: (
        found["jobs"] == JOBS and found["p90_covers"] >= 0.85 and found["fractions_that_went_back"] == 0
    ),
}
DATABASES: Final = ("sqlite", "postgresql")


def main() -> int:
    """Show what was asked for; return 1 when a promise was not kept."""
    options = _parse()
    found: dict[str, dict[str, Any]] = {}
    are_kept = True
    for name in options.promises:
        for database in options.databases:
            with running_site(database == "postgresql") as site:
                shown = PROMISES[name](site)
            found[f"{name} on {database}"] = shown
            are_kept &= KEPT[name](shown)
            print(
                f"{name} on {database}: {json.dumps(shown)}, {'kept' if KEPT[name](shown) else 'NOT KEPT'}", flush=True
            )
    if options.keep:
        _keep(found)
    print(json.dumps(found))
    return 0 if are_kept else 1


def _keep(found: dict[str, dict[str, Any]]) -> None:
    """Write what was shown with commit and machine, in place of its last showing; the others stay."""
    path, here = RESULTS / "promises.json", machine()
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept |= {name: shown | {"measured": here.sentence()} for name, shown in found.items()}
    path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.promises", description=__doc__)
    parser.add_argument("--promises", nargs="+", choices=PROMISES, default=list(PROMISES))
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--keep", action="store_true", help="write what was shown to benchmarks/results/promises.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
