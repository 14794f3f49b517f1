"""A child that may do little: no network, a read-only view of what it needs, one writable folder, limits, no secrets.

Knows nothing of jobs: it gives the child's lines and tells how it ended. `sandbox.py` draws the walls.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.launch import STARTED
from worker.limits import ChildLimits, disk_use
from worker.sandbox import Program, Sandbox, command_of, environment_of

TICK_SECONDS: Final = 0.1
DISK_LOOK_SECONDS: Final = 1.0
LINE_BYTES, TAIL_BYTES = 16 * 1024**2, 64 * 1024
OUT_OF_MEMORY: Final = re.compile(
    rb"MemoryError|bad_alloc|OutOfMemoryError|out of memory|can't allocate memory|Cannot allocate memory"
)


@dataclass(frozen=True)
class Ending:
    """How a child ended. `stopped_for` is why we stopped it, None when it ended by itself."""

    exit_code: int | None
    signal: int | None
    stopped_for: str | None
    out_of_memory: bool
    log_tail: bytes

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.exit_code}"
        return f"signal {self.signal} ({signal.strsignal(self.signal)})"


class SandboxBroken(Exception):
    """The child ended before it became the program that it was to run: no fault of the program's."""


class Child:
    """One run of a program inside `folder`. Read `lines` to their end, then ask for the `ending`."""

    def __init__(
        self,
        program: Program,
        arguments: list[str],
        *,
        folder: Path,
        shared: Mapping[str, Path],
        limits: ChildLimits,
        sandbox: Sandbox,
        gpu: str | None,
    ) -> None:
        """Start it in `folder`; each name in `shared` is a folder elsewhere that it finds there and may write to."""
        self._limits = limits
        self._folders = (folder, *shared.values())
        self._look_at_disk_at = 0.0
        self._deadline = time.monotonic() + limits.wall_seconds
        self._kill_at: float | None = None
        self._stopped_for: str | None = None
        self._is_hurried: Callable[[], bool] = lambda: False
        self._started = False
        self._tail = b""
        self._oom_kills = _oom_kills()
        self._in_bubblewrap = sandbox == "bubblewrap"
        if not self._in_bubblewrap:
            for name, path in shared.items():
                (folder / name).symlink_to(path)
        self._process = subprocess.Popen(
            command_of(program, arguments, folder=folder, shared=shared, limits=limits, sandbox=sandbox, gpu=gpu),
            cwd=folder,
            env=environment_of(program, folder, sandbox, gpu),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def lines(
        self, why_stop: Callable[[], str | None] = lambda: None, is_hurried: Callable[[], bool] = lambda: False
    ) -> Generator[bytes, None, None]:
        """Give the lines of its standard output; `why_stop` is asked all the time, and a reason ends the child.

        Its grace is then waited for unless `is_hurried`.
        Nothing of it runs any more when the lines are over, however that comes: by an error in the caller, too.
        """
        self._is_hurried = is_hurried
        try:
            yield from self._read(why_stop)
            while self._process.poll() is None:  # it may have closed its pipes and gone on
                time.sleep(TICK_SECONDS)
                self._enforce(why_stop())
        finally:
            self._kill_group()
            self._process.wait()

    def _read(self, why_stop: Callable[[], str | None]) -> Iterator[bytes]:
        process, rest = self._process, bytearray()
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr, selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            while selector.get_map():
                exited = process.poll() is not None  # asked first: what it said before its end is still to be read
                ready = selector.select(TICK_SECONDS)
                for key, _ in ready:
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
                    else:
                        yield from self._after_the_start(_cut_lines(rest, chunk))
                self._enforce("endless line" if len(rest) > LINE_BYTES else why_stop())
                if exited:
                    self._kill_group()
                    if not ready:
                        break  # somebody who left the group still holds the pipe
        if rest:
            yield bytes(rest)

    def _after_the_start(self, lines: list[bytes]) -> list[bytes]:
        """Take the launcher's own line away."""
        if self._started or not lines:
            return lines
        self._started = lines[0] == STARTED
        return lines[1:] if self._started else lines

    def ending(self) -> Ending:
        """Tell how it ended, once its lines are over. Raises SandboxBroken if the program never began."""
        if not self._started and self._stopped_for is None:
            raise SandboxBroken(f"The sandbox could not be made: {self._tail[-500:].decode(errors='replace').strip()}")
        code = self._process.returncode
        number = -code if code < 0 else code - 128 if self._in_bubblewrap and code > 128 else None
        killed_by_kernel = number == signal.SIGKILL and self._stopped_for is None and _oom_kills() > self._oom_kills
        return Ending(
            exit_code=code if number is None else None,
            signal=number,
            stopped_for="timeout" if number == signal.SIGXCPU else self._stopped_for,
            out_of_memory=killed_by_kernel or (code != 0 and bool(OUT_OF_MEMORY.search(self._tail))),
            log_tail=self._tail,
        )

    def _enforce(self, reason: str | None) -> None:
        """Stop the child for a reason or for its time: SIGTERM first, SIGKILL when its grace is over."""
        now = time.monotonic()
        if self._stopped_for is None:
            self._stopped_for = reason or self._exceeded(now)
        if self._stopped_for is None:
            return
        if self._kill_at is None:
            self._kill_at = now + self._limits.grace_seconds
            self._ask_to_end()
        elif now > self._kill_at or self._is_hurried():
            self._kill_group()

    def _exceeded(self, now: float) -> str | None:
        """Return which limit it has gone over, as far as that is watched from here."""
        if now > self._deadline:
            return "timeout"
        if now < self._look_at_disk_at:
            return None
        used = sum(disk_use(folder, self._limits.disk_bytes) for folder in self._folders)
        self._look_at_disk_at = time.monotonic() + DISK_LOOK_SECONDS
        return "disk" if used > self._limits.disk_bytes else None

    def _ask_to_end(self) -> None:
        """Send SIGTERM to the program itself: bubblewrap, who stands above it, would die of it and take it along."""
        pid = self._process.pid
        for _ in range(2 if self._in_bubblewrap else 0):  # bubblewrap, its process 1, the program
            children = _children(pid)
            if not children:
                break
            pid = children[0]
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return

    def _kill_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _cut_lines(rest: bytearray, chunk: bytes) -> list[bytes]:
    """Return the lines that are complete with this chunk; keep the last one's beginning in `rest`, within bounds."""
    if b"\n" not in chunk:
        del rest[LINE_BYTES:]
        rest += chunk
        return []
    *whole, end = (bytes(rest) + chunk).split(b"\n")
    rest[:] = end
    return whole


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _oom_kills() -> int:
    """Return how many processes this machine's kernel has killed for want of memory."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:  # some containers hide it
        return 0
    return int(found[1]) if found else 0
