"""Estimates that hold: jobs of a stand-in engine through real workers, watched over HTTP as a client does."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import httpx2

from benchmarks.promises.site import Site, environment_of, submit
from benchmarks.served import start

JOBS: Final = 50
WORKERS: Final = 6
MEAN_SECONDS: Final = 12.0
LOOK_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 900.0
SEED: Final = 0


class Look(NamedTuple):
    """What a client was told of a running job at a moment, in seconds of Unix time."""

    at: float
    fraction: float
    p50_seconds: float | None
    p90_seconds: float | None


def show_estimates(site: Site) -> dict[str, Any]:
    """Run all jobs; return how often the end came within the told bounds, and how often a fraction went back."""
    tenant = site.new_tenant(1)
    with site.client(tenant) as client, _workers(site):
        asked = [submit(client, tenant, model_id=_network(client, number)) for number in range(JOBS)]
        looks, ends = _watch(client, asked)
    told = [(look, ends[job_id] - look.at) for job_id in asked for look in looks[job_id]]
    late = [left <= look.p90_seconds for look, left in told if look.p90_seconds is not None]
    middle = [left <= look.p50_seconds for look, left in told if look.p50_seconds is not None]
    back = sum(after.fraction < before.fraction for seen in looks.values() for before, after in pairwise(seen))
    return {
        "jobs": len(ends),
        "estimates": len(late),
        "p90_covers": round(sum(late) / len(late), 3),
        "p50_covers": round(sum(middle) / len(middle), 3),
        "fractions_seen": len(told),
        "fractions_that_went_back": back,
    }


def _network(client: httpx2.Client, number: int) -> str:
    """Upload what tells the stand-in how to behave; return the model's id."""
    draw = random.Random(SEED * 1000 + number)
    behaviour = {"seconds": MEAN_SECONDS * draw.lognormvariate(0, 0.4), "error": draw.lognormvariate(0.3, 0.5)}
    content = json.dumps(behaviour | {"noise": number}).encode()
    stored = client.put("/v1/files", params={"filename": f"network-{number}.onnx"}, content=content)
    stored.raise_for_status()
    named = client.post("/v1/models", json={"upload_id": stored.json()["id"]})
    named.raise_for_status()
    return str(named.json()["id"])


def _watch(client: httpx2.Client, asked: list[str]) -> tuple[dict[str, list[Look]], dict[str, float]]:
    """Look at every job that runs until all have ended; return the looks, and when each job ended."""
    looks: defaultdict[str, list[Look]] = defaultdict(list)
    ends: dict[str, float] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ends) < len(asked):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(asked) - len(ends)} of {len(asked)} jobs have not ended")
        for job_id in asked:
            if job_id not in ends:
                job, now = client.get(f"/v1/jobs/{job_id}").json(), time.time()
                if job["state"] == "running":
                    eta = job["eta"]
                    looks[job_id].append(Look(now, job["fraction"], eta["p50_seconds"], eta["p90_seconds"]))
                elif job["finished_at"] is not None:
                    assert job["state"] == "succeeded", job
                    ends[job_id] = datetime.fromisoformat(job["finished_at"]).timestamp()
        time.sleep(LOOK_SECONDS)
    return looks, ends


@contextmanager
def _workers(site: Site) -> Iterator[None]:
    """Run workers as on machines of their own: each has a slot, all share the database and the store."""
    folder = site.settings.data_dir
    shared = environment_of(site.settings) | {
        "SECATEUR_DATABASE_URL": environment_of(site.settings).get(
            "SECATEUR_DATABASE_URL", f"sqlite:///{folder}/secateur.db"
        ),
        "SECATEUR_STORAGE_URL": f"file://{folder.resolve()}/blobs",
        "SECATEUR_WORKER_DEVICES": '["cpu"]',
    }
    at_work: list[subprocess.Popen[bytes]] = []
    for number in range(WORKERS):
        place = folder / f"machine-{number}"
        place.mkdir()
        at_work.append(start(["-m", "benchmarks.promises.a_worker"], str(place), 0, **shared))
    try:
        yield
    finally:
        for process in at_work:
            process.terminate()
        for process in at_work:
            process.wait(60)
