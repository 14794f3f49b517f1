"""How the web process comes to its end: unready at once, a little later closed to all that lasts long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.settings import Settings

LAST_ANSWERS_SECONDS: Final = 3
"""For what is under way when the drain is over; then it is cut, and an upload keeps what has arrived."""

CLOSE_SECONDS = 20.0
"""For threads that still write when the last answer is given."""


@dataclass
class Drain:
    """What whoever lasts long, a stream or a wait, looks at several times a second.

    `is_begun`: this process is about to stop and no longer ready, but answers still. `is_over`: what lasts ends now, so
    that the client goes on elsewhere.
    """

    is_begun: bool = False
    is_over: bool = False


def longest_end_seconds(settings: Settings) -> float:
    """Return how long a web process may take from the first signal to its end."""
    return settings.web_drain_seconds + LAST_ANSWERS_SECONDS + CLOSE_SECONDS
