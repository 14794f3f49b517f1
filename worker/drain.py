"""How a worker process comes to its end: nothing new is begun, what runs has a grace, then nothing goes on."""

from __future__ import annotations

import math
import threading
import time


class Drain:
    """Begun once, and hurried by whoever asks again.

    Signals' handlers call it, and may interrupt each other: the event, which has a lock, is touched once only.
    """

    def __init__(self, grace_seconds: float = 0.0) -> None:
        """What runs at the beginning of the drain may go on for `grace_seconds`."""
        self.grace_seconds = grace_seconds
        self._is_begun = False
        self._begun = threading.Event()
        self._over_at = math.inf
        self._is_hurried = False

    def begin(self) -> None:
        """Let nothing new be begun; asked again, change nothing."""
        if not self._is_begun:
            self._over_at = time.monotonic() + self.grace_seconds
            self._is_begun = True
            self._begun.set()

    def hurry(self) -> None:
        """Let nothing go on, and wait for nobody."""
        self.begin()
        self._is_hurried = True
        self._over_at = -math.inf

    @property
    def is_begun(self) -> bool:
        return self._is_begun

    @property
    def is_over(self) -> bool:
        """Whether what runs has to stop now."""
        return time.monotonic() >= self._over_at

    @property
    def is_hurried(self) -> bool:
        return self._is_hurried

    def wait(self, seconds: float) -> bool:
        """Sleep, but not beyond the beginning of the drain; say whether it has begun."""
        return self._begun.wait(seconds)
