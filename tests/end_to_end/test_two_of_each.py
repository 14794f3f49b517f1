"""The scale-out deployment is what it says: two web processes that answer in turn, two workers that both do work."""

from __future__ import annotations

import re

import httpx2
import pytest

from client import Job
from tests.end_to_end.deployments import Deployment
from tests.end_to_end.words import User

pytestmark = pytest.mark.parametrize("deployment", ["scale_out"], indirect=True)


def test_two_web_processes_answer_in_turn(deployment: Deployment) -> None:
    with deployment.http() as client:
        asked = [client.get("/healthz").request.url.port for _ in range(4)]

    assert len(set(deployment.urls)) == 2
    assert asked[:2] * 2 == asked
    assert len(set(asked)) == 2


def test_two_workers_are_there_and_two_jobs_run_at_once(deployment: Deployment, user: User) -> None:
    ready = [httpx2.get(f"{url}/readyz", timeout=30).json()["checks"]["workers"] for url in deployment.urls]
    jobs: list[Job] = [user.submit(budget_seconds=300, seed=seed) for seed in (11, 12)]

    states = [user.wait_until(job, "running").state for job in jobs]
    still = [user.client.job(job.id).state for job in jobs]
    for job in jobs:
        user.client.cancel(job.id)

    assert [re.match(r"(\d+) seen", check["detail"])[1] for check in ready] == ["2", "2"]  # type: ignore[index]
    assert states == still == ["running", "running"]
