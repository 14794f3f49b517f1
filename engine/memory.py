"""Memory that was freed goes back to the system: glibc keeps what it has got, a gigabyte after some stages of a job."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return to the system what this process has freed; nothing happens where the C library cannot do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
