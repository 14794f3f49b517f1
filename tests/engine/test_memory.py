"""What was freed is the system's again, also where one block that is still in use lies behind it on the heap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.memory import give_back

BLOCK_BYTES = 64 * 2**10  # small enough for the heap, however the C library is set
BLOCKS = 2000
PAGE_BYTES = 4096


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def test_a_library_that_cannot_do_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("ctypes.CDLL", asked.append)

    give_back()

    assert asked == [None]


def test_freed_blocks_are_given_back() -> None:
    blocks = [np.ones(BLOCK_BYTES, np.uint8) for _ in range(BLOCKS)]
    pinned = blocks[-1]
    del blocks
    before = resident_bytes()

    give_back()

    assert before - resident_bytes() > 0.8 * BLOCKS * BLOCK_BYTES
    assert pinned.all()
