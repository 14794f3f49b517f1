"""Which keys were used since that was last written down: a write with every request would cost more than it."""

from __future__ import annotations

import time
from collections.abc import Callable

NOTE_SECONDS = 60.0


class KeyUses:
    """Keys that were used since their last use was written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: set[str] = set()
        self._written_at: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        self._used.add(key_id)

    def take_due(self) -> set[str]:
        """Return the keys whose last use is to be written now: each at most once a minute."""
        now = self._clock()
        self._written_at = {name: at for name, at in self._written_at.items() if now - at < NOTE_SECONDS}
        due = self._used - self._written_at.keys()
        self._used -= due
        self._written_at |= dict.fromkeys(due, now)
        return due
