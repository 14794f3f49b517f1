"""A converter in a process of its own makes the same file, and what becomes of the process is told."""

from __future__ import annotations

import sys

import pytest

from engine.outputs import OUTPUTS, apart
from engine.outputs.apart import convert_apart
from engine.outputs.converted import NotConvertible
from engine.recipe import Deploy
from tests.engine.outputs.subjects import images_for, plain
from tests.networks import NETWORKS, half_precision


def test_another_process_makes_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quantiser keeps names in sets, whose order is another in each process."""
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    source = plain(NETWORKS["inverted_residual"][0]())
    images = images_for(source, 4)

    there = convert_apart("int8", source, images, Deploy())

    here = OUTPUTS["int8"].convert(source, images, Deploy())
    assert there.model.to_bytes() == here.model.to_bytes()
    assert there.how == here.how


def test_its_reasons_are_handed_on() -> None:
    source = plain(half_precision())

    with pytest.raises(NotConvertible, match="No weight of the network is a number of 32 bits"):
        convert_apart("fp16", source, images_for(source, 1), Deploy())


@pytest.mark.parametrize(
    ("program", "seconds", "said"),
    [
        ("import os; os.abort()", 60.0, "ended with signal 6"),
        ("raise SystemExit(3)", 60.0, "ended with exit status 3"),
        ("import time; time.sleep(60)", 0.2, "ended with the 0.2 s that it may take"),
    ],
)
def test_a_crash_is_told(program: str, seconds: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "COMMAND", (sys.executable, "-S", "-c", program))
    monkeypatch.setattr(apart, "SECONDS_MAX", seconds)
    source = plain(NETWORKS["residual"][0]())

    with pytest.raises(NotConvertible, match=said):
        convert_apart("int8", source, images_for(source, 1), Deploy())
