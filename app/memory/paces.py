"""How fast each key may ask: one bucket of tokens a key, as one number, in this process's memory.

Not in the database: it would be one more write with every poll. Each web process counts for itself, so that n of them
together let up to n times as many requests pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

WINDOW_SECONDS = 60.0
CAPACITY = 10_000


class Pace(NamedTuple):
    """What one request was told: how many more may follow at once, and after how many seconds all of them may."""

    limit: int
    left: int
    full_in_seconds: int
    wait_seconds: int  # before the next request passes; 0: this one did

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The fields of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10)."""
        return [
            (b"ratelimit-policy", b'"key";q=%d;w=%d' % (self.limit, WINDOW_SECONDS)),
            (b"ratelimit", b'"key";r=%d;t=%d' % (self.left, self.wait_seconds or self.full_in_seconds)),
        ]


class Paces:
    """The buckets of all keys that asked lately.

    A bucket is kept as the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371): every
    request puts that moment off by the window's share of one request, and may not put it further than a window ahead.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def ask(self, key_id: str, limit: int) -> Pace:
        """Take one token of a key that may ask `limit` times a minute; a burst may be as large as the limit."""
        now, step = self._clock(), WINDOW_SECONDS / limit
        full_at = max(self._full_at.get(key_id, now), now) + step
        over = full_at - now - WINDOW_SECONDS
        if over > 1e-9:
            return Pace(limit, 0, math.ceil(full_at - step - now), max(1, math.ceil(over)))
        if len(self._full_at) >= CAPACITY:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        self._full_at[key_id] = full_at
        return Pace(limit, int((1e-9 - over) / step), math.ceil(full_at - now), 0)
