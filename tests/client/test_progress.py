"""A person at a terminal sees bars, a log sees lines, and neither obeys what a server says."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from client.progress import Bars, Lines, choose_progress
from client.resources import Job, read_job
from tests.client import samples

JOB = samples.job("running", stage="score", fraction=0.4, eta_seconds=200.0, message="[bold]unit[/bold] 2\x1b[2J of 3")


def console(*, is_terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=120, color_system=None)


def written(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def follow(progress: Bars | Lines, *jobs: Job) -> None:
    with progress.transfer("uploading model.onnx") as on_bytes:
        on_bytes(500, 1000)
        on_bytes(1000, 1000)
    with progress.job() as show:
        for job in jobs:
            show(job)


@pytest.mark.parametrize(("kind", "is_terminal"), [(Bars, True), (Lines, False)])
def test_stage_message_and_time_left_are_shown_as_plain_words(
    kind: type[Bars] | type[Lines], is_terminal: bool
) -> None:
    target = console(is_terminal=is_terminal)

    follow(kind(target), read_job(JOB))

    assert "score · [bold]unit[/bold] 2 of 3" in written(target)
    assert "about 3 min left" in written(target)
    assert "\x1b[2J" not in written(target)


def test_a_line_is_written_only_where_something_changed() -> None:
    target = console(is_terminal=False)

    follow(Lines(target), *[read_job(JOB | {"fraction": 0.40 + step / 1000}) for step in range(20)])

    assert written(target).count("score") == 1


def test_a_queued_job_shows_its_place() -> None:
    target = console(is_terminal=False)

    follow(Lines(target), read_job(samples.job("queued", queue_position=3)))

    assert "queued, number 3" in written(target)


def test_a_message_that_only_repeats_the_stage_is_left_out() -> None:
    target = console(is_terminal=False)

    follow(Lines(target), read_job(samples.job("running", stage="merge", message="merge")))

    assert written(target).splitlines()[-1] == "  0%  merge"


def test_bars_are_for_terminals_and_lines_for_logs() -> None:
    assert isinstance(choose_progress(console(is_terminal=True)), Bars)
    assert isinstance(choose_progress(console(is_terminal=False)), Lines)
