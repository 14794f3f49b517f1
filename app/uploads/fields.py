"""Structured fields (RFC 9651) of the draft "Resumable Uploads for HTTP": a value of another type is no value."""

from __future__ import annotations

import re
from collections.abc import Mapping

INTEGER = re.compile(r"([0-9]{1,15})(?:\s*;.*)?")
BOOLEAN = re.compile(r"\?([01])(?:\s*;.*)?")


def integer(headers: Mapping[str, str], name: str) -> int | None:
    """Return a number of bytes; None where the header is missing or holds anything else, as the draft has it."""
    found = INTEGER.fullmatch(headers.get(name, "").strip())
    return int(found.group(1)) if found else None


def boolean(headers: Mapping[str, str], name: str) -> bool | None:
    """Return True for `?1` and False for `?0`; None where the header is missing or holds anything else."""
    found = BOOLEAN.fullmatch(headers.get(name, "").strip())
    return found.group(1) == "1" if found else None
