"""Nothing that a server says can steer the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.text import duration, plain, size


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("a\rb\x08c", "abc"),
        ("left\u202eright", "leftright"),
        ("two\nlines\tkept", "two\nlines\tkept"),
    ],
)
def test_escapes_and_controls_are_left_out(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


@given(st.text())
def test_no_text_keeps_a_control_character(text: str) -> None:
    assert not any(
        (ord(character) < 32 and character not in "\n\t") or 127 <= ord(character) < 160 for character in plain(text)
    )


def test_times_and_sizes_are_said_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (5, 200, 7200)] == ["5 s", "3 min", "2.0 h"]
    assert [size(count) for count in (12, 3400, 812_000_000)] == ["12 B", "3.4 kB", "812 MB"]
