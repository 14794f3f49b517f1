"""What the API costs: a status poll against a bare FastAPI endpoint, and the web process's memory while files come in.

`python -m benchmarks.api` starts both servers with one process each and loads them in turn. The last line is one JSON
object: `poll_ratio` is ours over the bare endpoint in requests per second (median of the rounds), and
`upload_rss_growth_mb` how much higher the web process's peak memory is after the large upload than after the small one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.db import open_database, upgrade, utc_now
from core.ids import new_id
from core.jobs import Progress, beat, claim, submit, validated
from core.keys import ensure_admin_key
from core.scopes import DEFAULT_PROJECT_ID
from core.settings import Settings
from core.tables import Blob, StoredModel
from engine.recipe import Recipe

MIB = 1024**2
START_SECONDS = 60


def main() -> int:
    """Run both measurements; return 1 when a bound does not hold."""
    options = _parse()
    with tempfile.TemporaryDirectory(prefix="secateur-bench-") as folder:
        settings = Settings(data_dir=Path(folder))
        key, job_id = _prepare(settings)
        with (
            _server(["-m", "uvicorn", "benchmarks.bare_endpoint:app", "--no-access-log"], folder, "/") as (_, bare),
            _server(["-m", "app"], folder, "/healthz") as (process, ours),
        ):
            result = measure_polls(options, bare, ours, key, job_id)
            result |= measure_uploads(options, process.pid, ours, key)
    print(json.dumps(result))
    return 0 if result["poll_ratio"] >= 0.5 and result["upload_rss_growth_mb"] <= 32 else 1


def measure_polls(options: argparse.Namespace, bare: int, ours: int, key: str, job_id: str) -> dict[str, float]:
    """Load the two in turn, so that a busy neighbour slows both."""
    plain = {"port": bare, "path": "/", "headers": {}}
    poll = {"port": ours, "path": f"/v1/jobs/{job_id}", "headers": {"Authorization": f"Bearer {key}"}}
    for target in (plain, poll):
        _load(target, options.connections, 0.5)
    ratios, rates = [], []
    for turn in range(options.rounds):
        pair = (plain, poll) if turn % 2 == 0 else (poll, plain)
        found = {id(target): _load(target, options.connections, options.seconds) for target in pair}
        bare_rate, our_rate = found[id(plain)], found[id(poll)]
        print(
            f"round {turn + 1}: bare {bare_rate:.0f}/s, status poll {our_rate:.0f}/s, ratio {our_rate / bare_rate:.2f}"
        )
        ratios.append(our_rate / bare_rate)
        rates.append((bare_rate, our_rate))
    return {
        "poll_ratio": round(statistics.median(ratios), 3),
        "bare_per_second": round(statistics.median(rate for rate, _ in rates)),
        "poll_per_second": round(statistics.median(rate for _, rate in rates)),
    }


def measure_uploads(options: argparse.Namespace, pid: int, port: int, key: str) -> dict[str, float]:
    """Send a small and a large file; compare the peaks of the web process's resident memory, as the kernel has them."""
    _upload(port, key, options.small_mb)
    small_peak = _peak_rss_mb(pid)
    seconds = _upload(port, key, options.large_mb)
    growth = _peak_rss_mb(pid) - small_peak
    print(f"upload of {options.large_mb} MB: {seconds:.1f} s, peak {small_peak:.1f} MB + {growth:.1f} MB")
    return {"upload_rss_growth_mb": round(growth, 1), "upload_mb_per_second": round(options.large_mb / seconds, 1)}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each server")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--small-mb", type=int, default=8)
    parser.add_argument("--large-mb", type=int, default=512)
    return parser.parse_args()


def _prepare(settings: Settings) -> tuple[str, str]:
    """Make tables, a key and a job half way through its run; return the key and the job's id."""
    upgrade(settings)
    database = open_database(settings)
    try:
        key = ensure_admin_key(database, settings)
        assert key is not None
        return key, database.do(_running_job)
    finally:
        database.close()


def _running_job(session: Session) -> str:
    now, sha256 = utc_now(session), "0" * 64
    session.add(Blob(sha256=sha256, size_bytes=1, created_at=now))
    session.flush()
    model_id = new_id("mod")
    stored = {"name": "m.onnx", "sha256": sha256, "size_bytes": 1, "created_at": now}
    session.add(StoredModel(id=model_id, project_id=DEFAULT_PROJECT_ID, **stored))
    session.flush()
    recipe = Recipe().model_dump(mode="json")
    asked: dict[str, Any] = {"model_id": model_id, "dataset_id": None, "recipe": recipe, "labels": {}, "device": "cpu"}
    job = submit(session, project_id=DEFAULT_PROJECT_ID, **asked)
    lease: dict[str, Any] = {"worker_id": "bench", "devices": ["cpu"], "lease_seconds": 3600.0}
    validating = claim(session, **lease)
    assert validating is not None
    validated(session, validating, {})
    running = claim(session, **lease)
    assert running is not None
    beat(session, running, Progress("score", 0.31, 120.0, "unit 7 of 25"))
    return job.id


@contextlib.contextmanager
def _server(arguments: list[str], folder: str, path: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server on a free port, wait for its first answer, and stop it at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"SECATEUR_DATA_DIR": folder, "SECATEUR_PORT": str(port), "UVICORN_PORT": str(port)}
    process = subprocess.Popen([sys.executable, *arguments], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, path)
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as asking:
            asking.request("GET", path)
            if asking.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"no answer on port {port} within {START_SECONDS} s")


def _load(target: dict[str, Any], connections: int, seconds: float) -> float:
    """Return the answers per second to the load generator, a process of its own."""
    asked = json.dumps(target | {"connections": connections, "seconds": seconds})
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(done.stdout)
    if found["failures"]:
        raise RuntimeError(f"{found['failures']} of {found['answers']} answers from {target['path']} were not 200")
    return float(found["answers"] / found["seconds"])


def _upload(port: int, key: str, size_mb: int) -> float:
    """Send a file of its own kind in one request, check the digest that comes back; return the seconds it took."""
    counted = hashlib.sha256()
    block = os.urandom(MIB)

    def blocks() -> Iterator[bytes]:
        for _ in range(size_mb):
            counted.update(block)
            yield block

    started = time.monotonic()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as sending:
        headers = {"Authorization": f"Bearer {key}", "Content-Length": str(size_mb * MIB)}
        sending.request("PUT", f"/v1/files?filename=bench-{size_mb}.bin", blocks(), headers)
        answer = json.loads(sending.getresponse().read())
    if answer.get("sha256") != counted.hexdigest():
        raise RuntimeError(f"the upload of {size_mb} MB was answered with {answer}")
    return time.monotonic() - started


def _peak_rss_mb(pid: int) -> float:
    """Return the highest resident memory of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    sys.exit(main())
