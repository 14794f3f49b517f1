"""What the API costs: a status poll against a bare FastAPI endpoint, and the web process's memory while files come in.

`python -m benchmarks.api` starts both servers with one process each and loads them in turn. The last line is one JSON
object: `poll_ratio` is ours over the bare endpoint in requests per second (median of the rounds),
`upload_rss_growth_mb` how much higher the web process's peak memory is after the large upload than after the small one,
`upload_vs_cp` and `upload_vs_nginx` how many times longer an upload takes than `cp` and than nginx's PUT, each with
sync (median of the rounds; null without nginx).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from benchmarks.served import server
from benchmarks.upload_cost import measure_memory, measure_times
from core.db import open_database, upgrade, utc_now
from core.ids import new_id
from core.jobs import Progress, beat, claim, submit, validated
from core.keys import ensure_admin_key
from core.scopes import DEFAULT_PROJECT_ID
from core.settings import Settings
from core.tables import Blob, StoredModel
from engine.recipe import Recipe


def main() -> int:
    """Measure everything; return 1 when a bound does not hold."""
    options = _parse()
    with tempfile.TemporaryDirectory(prefix="secateur-bench-") as folder:
        settings = Settings(data_dir=Path(folder))
        key, job_id = _prepare(settings)
        with (
            server(["-m", "uvicorn", "benchmarks.bare_endpoint:app", "--no-access-log"], folder, "/") as (_, bare),
            server(["-m", "app"], folder, "/healthz") as (process, ours),
        ):
            result: dict[str, Any] = {**measure_polls(options, bare, ours, key, job_id)}
            place = Path(folder)
            result |= measure_memory(process.pid, ours, key, place, options.small_mb, options.large_mb)
            result |= measure_times(ours, key, place, options.upload_mb, options.upload_rounds)
    print(json.dumps(result))
    return 0 if _holds(result) else 1


def _holds(result: dict[str, Any]) -> bool:
    """Tell whether every bound holds; of the two for uploads, one is enough."""
    vs_nginx = result["upload_vs_nginx"]
    is_quick = result["upload_vs_cp"] <= 6 or (vs_nginx is not None and vs_nginx <= 3)
    return is_quick and result["poll_ratio"] >= 0.5 and result["upload_rss_growth_mb"] <= 32


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


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each server")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--small-mb", type=int, default=64, help="of the upload that memory is compared from")
    parser.add_argument("--large-mb", type=int, default=2048, help="of the upload that memory is compared to")
    parser.add_argument("--upload-mb", type=int, default=512, help="of the uploads that are timed")
    parser.add_argument("--upload-rounds", type=int, default=5)
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


def _load(target: dict[str, Any], connections: int, seconds: float) -> float:
    """Return the answers per second to the load generator, a process of its own."""
    asked = json.dumps(target | {"connections": connections, "seconds": seconds})
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(done.stdout)
    if found["failures"]:
        raise RuntimeError(f"{found['failures']} of {found['answers']} answers from {target['path']} were not 200")
    return float(found["answers"] / found["seconds"])


if __name__ == "__main__":
    sys.exit(main())
