"""What the engine says on its standard output, one JSON object a line. Believes nothing: a stranger may speak there."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, Final

from core.jobs import Progress

STAGES: Final = 60
"""So many are remembered: an engine that makes up names without end fills no memory of ours."""


class Conversation:
    """Hears the engine out: progress as it comes; at the end `done`, an `error`, or the `answer` to an inspection.

    `begun` are the stages that it has told of, each with the moment of its first word in nanoseconds of Unix time.
    """

    def __init__(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._on_progress = on_progress
        self.begun: list[tuple[str, int]] = []
        self.done = False
        self.error: dict[str, Any] | None = None
        self.answer: dict[str, Any] | None = None

    def hear(self, line: bytes) -> None:
        """Take one line; what is not an object in JSON is somebody's chatter and passes."""
        said = parse_object(line)
        if said is None:
            return
        event = said.get("event")
        if event == "progress":
            self._hear_progress(said)
        elif event == "error" and isinstance(said.get("error"), dict):
            self.error = said["error"]
        elif event == "done":
            self.done = True
        elif event is None:
            self.answer = said

    def _hear_progress(self, said: dict[str, Any]) -> None:
        fraction, eta = _number(said.get("fraction")), _number(said.get("eta_seconds"))
        if self._on_progress is None or fraction is None:
            return
        message, stage = said.get("message"), str(said.get("stage", ""))
        self._note(stage)
        self._on_progress(
            Progress(
                stage,
                fraction,
                None if eta is None else max(eta, 0.0),
                str(message) if message else None,
                _number(said.get("stage_fraction")),
            )
        )

    def _note(self, stage: str) -> None:
        name = stage[:32]
        if len(self.begun) < STAGES and (not self.begun or self.begun[-1][0] != name):
            self.begun.append((name, time.time_ns()))


def _number(value: object) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def parse_object(text: bytes) -> dict[str, Any] | None:
    """Return an object that every database and JSON writer of ours can take, or None."""
    try:
        said = _clean(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError, OverflowError):
        return None
    return said if isinstance(said, dict) else None


def clean_text(text: str) -> str:
    """Return text without NULs and lone surrogates, which PostgreSQL and UTF-8 refuse."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON.")
