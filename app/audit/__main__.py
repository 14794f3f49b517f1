"""`python -m app.audit`: check that no entry of the audit log was changed, removed or moved. Needs no server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.audit.check import Known, Verdict, check_database, check_file
from core.db import open_database
from core.keys import load_pepper
from core.settings import settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each organisation and one for each fault; return 1 where there is a fault."""
    options = _parse(arguments)
    broken = False
    known: dict[str, dict[int, str]] = {}
    for organization_id, seq, digest in options.known:
        known.setdefault(organization_id, {})[seq] = digest
    for verdict in _verdicts(options.file, known):
        broken = broken or bool(verdict.faults)
        state = "broken" if verdict.faults else "whole"
        end = f"{verdict.organization_id}:{verdict.end.seq}:{verdict.end.hash}"
        print(f"{state}, {verdict.entries} entries, up to {end}")
        for fault in verdict.faults:
            print(f"  {fault}")
    return int(broken)


def _verdicts(file: Path | None, known: Known) -> Iterator[Verdict]:
    if file is not None:
        yield from check_file(file, known)
        return
    database = open_database(settings())
    try:
        yield from check_database(database, load_pepper(settings()), known)
    finally:
        database.close()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m app.audit", description=__doc__)
    parser.add_argument("--file", type=Path, help="pages of GET /v1/audit, one a line; without it, the database")
    parser.add_argument(
        "--known",
        type=_known,
        action="append",
        default=[],
        metavar="ORG:SEQ:HASH",
        help="an end, as an earlier run said it",
    )
    return parser.parse_args(arguments)


def _known(text: str) -> tuple[str, int, str]:
    organization_id, seq, digest = text.split(":")
    return organization_id, int(seq), digest


if __name__ == "__main__":
    sys.exit(main())
