"""When a message that could not be delivered is tried again, and when it is given up."""

from __future__ import annotations

from typing import Final

MINUTE, HOUR = 60.0, 3600.0
RETRY_SECONDS: Final = (5.0, 5 * MINUTE, 0.5 * HOUR, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""The waits between ten tries, as Standard Webhooks recommends them: three days and three hours in all."""

JITTER: Final = 0.2
LONGEST_WISH_SECONDS: Final = 24 * HOUR


def wait_seconds(tries: int, chance: float, wish_seconds: float = 0.0) -> float | None:
    """Return how long to wait after so many failed tries, or None: give up.

    `chance`, 0 to 1, spreads the wait by a fifth each way, so that what failed together does not come back together.
    `wish_seconds` is the receiver's own Retry-After: it can make the wait longer, up to a day, never shorter.
    """
    if tries > len(RETRY_SECONDS):
        return None
    spread = 1 + JITTER * (2 * chance - 1)
    return max(RETRY_SECONDS[tries - 1] * spread, min(wish_seconds, LONGEST_WISH_SECONDS))
