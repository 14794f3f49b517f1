"""How long a fault may last: waits that double with jitter, until no success came for `limit_seconds`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 8.0


class Patience:
    """Wait between tries. Waits grow 0.2, 0.4, 0.8 … 8 seconds, each shortened by up to half at random."""

    def __init__(self, limit_seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.limit_seconds = limit_seconds
        self._sleep = sleep
        self.reset()

    def reset(self) -> None:
        """Begin anew after a success."""
        self._since: float | None = None
        self._wait_seconds = FIRST_WAIT_SECONDS

    @property
    def is_tried(self) -> bool:
        """Tell whether there was a wait since the last success."""
        return self._since is not None

    def wait(self, at_least_seconds: float = 0.0) -> bool:
        """Sleep before the next try; return False, at once, when the patience is used up."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        left_seconds = self._since + self.limit_seconds - now
        if left_seconds <= 0 or at_least_seconds > left_seconds:
            return False
        jittered = self._wait_seconds * random.uniform(0.5, 1.0)
        self._sleep(min(max(jittered, at_least_seconds), left_seconds))
        self._wait_seconds = min(self._wait_seconds * 2, LONGEST_WAIT_SECONDS)
        return True
