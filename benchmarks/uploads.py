"""Uploads that are cut: `python -m benchmarks.uploads` sends files with the client through a proxy that cuts them.

Cuts come at random bytes of the file; each tenth is a kill -9 of the web process, which is then started again. The last
line is one JSON object: how many uploads resumed with an equal sha256, and how many bytes a cut made the client send
twice. Returns 1 when an upload did not end well, or more than 8 MiB went twice after one cut.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cutting import cutting
from benchmarks.served import free_port, start, wait_for
from client.connection import Connection
from client.uploads import upload
from core.db import open_database, upgrade
from core.keys import ensure_admin_key
from core.settings import Settings

MIB = 1024**2
MOST_RESENT_BYTES = 8 * MIB


@dataclass
class Tally:
    """What came of all uploads."""

    uploads: int = 0
    equal: int = 0
    cuts: int = 0
    resent_bytes: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, float]:
        resent = [size / MIB for size in self.resent_bytes] or [0.0]
        return {
            "uploads": self.uploads,
            "sha256_equal": self.equal,
            "cuts": self.cuts,
            "resumed": len(self.resent_bytes),
            "resent_mib_max": round(max(resent), 2),
            "resent_mib_mean": round(statistics.mean(resent), 2),
        }

    @property
    def holds(self) -> bool:
        all_ended_well = self.equal == self.uploads and len(self.resent_bytes) == self.cuts
        return all_ended_well and max(self.resent_bytes, default=0) <= MOST_RESENT_BYTES


def cut_uploads(
    port: int, key: str, file: Path, tally: Tally, cut_at: list[int], on_cut: Callable[[int], None]
) -> None:
    """Send one file with cuts at these bytes, and count what came of it."""
    with cutting(port, cut_at, on_cut) as proxy:
        connection = Connection(f"http://127.0.0.1:{proxy.port}", key)
        try:
            upload_id = upload(connection, file)
            found = connection.request("GET", f"/v1/uploads/{upload_id}").json()
        finally:
            connection.close()
    with file.open("rb") as content:
        is_equal = found["complete"] and found["sha256"] == hashlib.file_digest(content, "sha256").hexdigest()
    tally.uploads += 1
    tally.equal += is_equal
    tally.cuts += proxy.cuts
    tally.resent_bytes += proxy.resent


def main() -> int:
    """Cut uploads until there were enough cuts; return 1 when a bound does not hold."""
    options = _parse()
    draw, tally, began = random.Random(options.seed), Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="secateur-bench-") as folder:
        service = _Service(folder)
        try:
            while tally.cuts < options.cuts:
                file = Path(folder) / "file.bin"
                file.write_bytes(draw.randbytes(options.size_mb * MIB))
                count = min(options.cuts_each, options.cuts - tally.cuts)
                cut_at = [draw.randrange(options.size_mb * MIB) for _ in range(count)]
                before = tally.cuts
                cut_uploads(service.port, service.key, file, tally, cut_at, service.killing(before, options.kill_each))
                print(f"{tally.uploads} uploads, {tally.cuts} cuts: {tally.as_dict()}", flush=True)
        finally:
            service.stop()
    print(json.dumps(tally.as_dict() | {"kills": service.kills, "seconds": round(time.monotonic() - began, 1)}))
    return 0 if tally.holds else 1


class _Service:
    """The embedded default's web process, which may be killed and is then started again on its port."""

    def __init__(self, folder: str) -> None:
        settings = Settings(data_dir=Path(folder))
        upgrade(settings)
        database = open_database(settings)
        key = ensure_admin_key(database, settings)
        database.close()
        assert key is not None
        self.key, self.port, self.kills, self._folder = key, free_port(), 0, folder
        self._start()

    def killing(self, before: int, kill_each: int) -> Callable[[int], None]:
        """Return what each cut is to do: to kill, at every so-manieth of all."""

        def on_cut(number: int) -> None:
            if kill_each and (before + number) % kill_each == 0:
                os.kill(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self.kills += 1
                self._start()

        return on_cut

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _start(self) -> None:
        self._process = start(["-m", "app"], self._folder, self.port)
        wait_for(self.port, "/healthz")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.uploads", description=__doc__)
    parser.add_argument("--cuts", type=int, default=200, help="in all")
    parser.add_argument("--cuts-each", type=int, default=10, help="in one upload")
    parser.add_argument("--kill-each", type=int, default=10, help="each so-manieth cut kills the server; 0: none")
    parser.add_argument("--size-mb", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
