"""A peer that crashes, hangs or talks is an answer, and asked once."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import benchmarks.peers
from benchmarks.peers import PEERS, Answer, ask, ask_once

PROGRAM = "tests.benchmarks.a_peer"


@pytest.fixture(autouse=True)
def _a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "a-peer", PROGRAM)
    monkeypatch.setattr(benchmarks.peers, "version", lambda peer: "1.0")


def test_every_peer_is_a_program_of_its_own() -> None:
    assert all(find_spec(program) for program in PEERS.values())


def test_an_answer_is_the_last_line() -> None:
    assert ask("a-peer", ["answer"], 60) == Answer(0.5, "", 1.5)


def test_a_crash_is_an_answer() -> None:
    assert ask("a-peer", ["crash"], 60) == Answer(None, "IndexError: no such channel")


def test_silence_is_an_answer() -> None:
    assert ask("a-peer", ["silence"], 60) == Answer(None, "died with code 0")


@pytest.mark.parametrize("way", ["hang", "loop"])
def test_a_peer_that_comes_to_no_end_is_ended(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks.peers, "PATIENCE", 2 if way == "hang" else 600)

    assert ask("a-peer", [way], 1.0) == Answer(None, "not finished in 1 s", 1.0)


def test_a_peer_is_asked_once_for_each_network(tmp_path: Path) -> None:
    first = ask_once("a-peer", ["answer"], 60, tmp_path, "resnet")

    assert ask_once("a-peer", ["crash"], 60, tmp_path, "resnet") == first
    assert ask_once("a-peer", ["crash"], 60, tmp_path, "vit").share is None
