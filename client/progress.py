"""Shows what is going on, on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from client.resources import Job
from client.text import duration, plain, size
from client.uploads import Advance

LINE_EVERY_FRACTION = 0.05
LINE_EVERY_SECONDS = 15.0


class Progress(Protocol):
    """What `compress` tells of."""

    def transfer(self, title: str) -> AbstractContextManager[Advance]: ...

    def job(self) -> AbstractContextManager[Callable[[Job], None]]: ...

    def trouble(self, message: str) -> None: ...


class Bars:
    """Bars that are drawn anew in place, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def transfer(self, title: str) -> Iterator[Advance]:
        columns = (_described(), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with RichProgress(*columns, console=self._console) as bars:
            task = bars.add_task(plain(title), total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    @contextmanager
    def job(self) -> Iterator[Callable[[Job], None]]:
        columns = (_described(), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), _described("eta"))
        with RichProgress(*columns, console=self._console) as bars:
            task = bars.add_task("waiting", total=1.0, eta="")
            yield lambda job: bars.update(task, completed=job.fraction, description=_doing(job), eta=_eta(job))

    def trouble(self, message: str) -> None:
        self._console.print(Text(plain(message), style="yellow"))


class Lines:
    """One line where something changed, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def transfer(self, title: str) -> Iterator[Advance]:
        seen = {"total": 0}
        yield lambda _done, total: seen.update(total=total)
        self._line(f"{title}: done, {size(seen['total'])}" if seen["total"] else f"{title}: done")

    @contextmanager
    def job(self) -> Iterator[Callable[[Job], None]]:
        said: dict[str, object] = {"key": None, "at": 0.0}

        def show(job: Job) -> None:
            key = (job.state, job.stage, job.attempt, int(job.fraction / LINE_EVERY_FRACTION))
            if key != said["key"] or time.monotonic() - float(str(said["at"])) > LINE_EVERY_SECONDS:
                said.update(key=key, at=time.monotonic())
                self._line(f"{job.fraction:4.0%}  {_doing(job)}  {_eta(job)}".rstrip())

        yield show

    def trouble(self, message: str) -> None:
        self._line(message)

    def _line(self, text: str) -> None:
        self._console.print(Text(plain(text)), soft_wrap=True)


def choose_progress(console: Console) -> Progress:
    """Bars for a terminal, lines for anything else."""
    return Bars(console) if console.is_terminal else Lines(console)


def _described(field: str | None = None) -> TextColumn:
    # markup off: what the server says must not be read as instructions
    return TextColumn("{task.description}" if field is None else f"{{task.fields[{field}]}}", markup=False)


def _doing(job: Job) -> str:
    """Say in a few words what the job does now."""
    if job.state == "queued" and job.queue_position:
        return f"queued, number {job.queue_position}"
    what = job.stage if job.state == "running" and job.stage else job.state
    more = None if job.is_terminal or job.message == what else job.message
    return plain(f"{what} · {more}" if more else what)


def _eta(job: Job) -> str:
    return "" if job.eta_seconds is None or job.is_terminal else f"about {duration(job.eta_seconds)} left"
