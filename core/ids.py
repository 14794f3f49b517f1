"""Prefixed ids that sort by the time of their making: `job_` + a UUIDv7 in Crockford's base 32."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """Return `prefix_` and 26 characters; two ids of one prefix sort as their milliseconds do (RFC 9562, version 7)."""
    milliseconds = time.time_ns() // 1_000_000
    random_a, random_b = secrets.randbits(12), secrets.randbits(62)
    number = milliseconds << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b
    digits = []
    for _ in range(26):
        digits.append(ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"
