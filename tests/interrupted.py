"""A signal that comes in any moment of somebody's wait: its handler may find that one's locks held."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

ROUNDS: Final = 2000
SOON_SECONDS: Final = 2e-4
HUNG_SECONDS: Final = 10.0


def interrupted(make: Callable[[], tuple[Callable[[], object], Callable[[], object]]]) -> int:
    """Each round: make what waits and what ends it, and let a signal's handler end the wait; return how many did.

    Raises TimeoutError for one that goes on waiting. The main thread's business alone.
    """
    chance, ended = random.Random(0), 0
    before = signal.getsignal(signal.SIGALRM)
    for _ in range(ROUNDS):
        wait, end = make()
        signal.signal(signal.SIGALRM, _Handler(end))
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, SOON_SECONDS), HUNG_SECONDS)
        try:
            wait()
            ended += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    return ended


class _Handler:
    """Ends the wait the first time, and what is not over the second time as well."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end, self._times = end, 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self._times += 1
        if self._times > 1:
            raise TimeoutError("It was told to end, and waits still.")
        self._end()
