"""Which bytes a request asks for: `Range` and `If-Range` (RFC 9110), one range at a time."""

from __future__ import annotations

import re
from typing import NamedTuple

from app.errors import Problem

ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})-(\d{0,18})", re.IGNORECASE)


class Span(NamedTuple):
    """The bytes from `start` up to but without `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def asked_span(header: str | None, if_range: str | None, etag: str, size_bytes: int) -> Span | None:
    """Return the span to send, or None for the whole file. Raises `range-not-satisfiable`.

    A range is only a wish: several at once, another unit and a text that is no range all get the whole file, and so
    does a client whose `If-Range` names another file.
    """
    match = ONE_RANGE.fullmatch(header.strip()) if header else None
    if match is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        span = Span(max(0, size_bytes - int(last)), size_bytes)
    else:
        if last and int(last) < int(first):
            return None
        span = Span(int(first), min(int(last) + 1, size_bytes) if last else size_bytes)
    if span.length <= 0:
        detail = f"The file has {size_bytes} bytes; '{header}' lies outside. Ask for bytes=0-{size_bytes - 1} or less."
        raise Problem("range-not-satisfiable", detail, headers={"Content-Range": f"bytes */{size_bytes}"})
    return span
