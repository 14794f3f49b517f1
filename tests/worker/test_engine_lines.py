"""What the engine says is taken for data, never at its word."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jobs import Progress
from worker.engine_lines import Conversation, parse_object

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
)


@given(ANYTHING)
def test_what_is_kept_can_be_written_by_every_writer_of_ours(value: Any) -> None:
    kept = parse_object(json.dumps({"value": value}).encode())

    if kept is not None:
        assert b"\\u0000" not in orjson.dumps(kept)


@pytest.mark.parametrize(
    "line", [b"", b"chatter", b"[]", b"3", b"\xff\xfe", b"{" * 100_000, b'{"a": NaN}', b"[" * 99_999]
)
def test_chatter_is_passed_over(line: bytes) -> None:
    talk = Conversation()

    talk.hear(line)

    assert (talk.done, talk.error, talk.answer) == (False, None, None)


def test_progress_is_told_and_nonsense_is_not() -> None:
    heard: list[Progress] = []
    talk = Conversation(heard.append)

    talk.hear(b'{"event": "progress", "stage": "score", "fraction": 0.5, "eta_seconds": 3, "message": "unit 1"}')
    talk.hear(b'{"event": "progress", "stage": "score", "fraction": "half"}')
    talk.hear(b'{"event": "progress", "stage": "score", "fraction": true}')

    assert heard == [Progress("score", 0.5, 3.0, "unit 1")]


def test_an_error_an_end_and_an_answer_are_kept() -> None:
    talk = Conversation()

    for line in (b'{"parameters": 3}', b'{"event": "error", "error": {"code": "x"}}', b'{"event": "done"}'):
        talk.hear(line)

    assert (talk.answer, talk.error, talk.done) == ({"parameters": 3}, {"code": "x"}, True)
