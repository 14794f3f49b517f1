"""Whose turn it is: nobody stands behind another project's thousand jobs, and the place that is told is the truth."""

from __future__ import annotations

import random
from typing import Any, Final

import httpx2

from benchmarks.promises.site import Site, Tenant, submit
from core.jobs import Claim, finish

THOUSAND: Final = 1000
PROJECTS: Final = 4
STEPS: Final = 400
SEED: Final = 0


def show_turns(site: Site) -> dict[str, Any]:
    """Let one project submit a thousand jobs, then another one a single one; return how many begin before that."""
    many, one = site.new_tenant(1), site.new_tenant(2)
    with site.client(many) as client:
        for _ in range(THOUSAND):
            submit(client, many)
    while site.inspect():
        pass
    running = site.claim("cpu")
    assert running is not None
    with site.client(one) as client:
        first = submit(client, one)
        site.inspect()
        told = client.get(f"/v1/jobs/{first}").json()["queue_position"]
    before = 0
    while True:
        _end(site, running)
        running = site.claim("cpu")
        assert running is not None
        if running.job_id == first:
            return {"jobs_of_another_project": THOUSAND, "begun_before_the_first_job": before, "place_told": told}
        before += 1


def show_places(site: Site) -> dict[str, Any]:
    """Submit, begin and end jobs as chance will have it; before each begin, ask for every place in the queue.

    Places must be 1 to n, each once, in the list as at the job itself, and the job that begins must be the one at 1.
    """
    draw = random.Random(SEED)
    tenants = [site.new_tenant(10 + number) for number in range(PROJECTS)]
    clients = [site.client(tenant) for tenant in tenants]
    running: list[Claim] = []
    told = wrong = begun = 0
    for _ in range(STEPS):
        number = draw.randrange(PROJECTS)
        if draw.random() < 0.55:
            submit(clients[number], tenants[number], priority=draw.randint(-2, 2))
            site.inspect()
        elif running and draw.random() < 0.4:
            _end(site, running.pop(draw.randrange(len(running))))
        else:
            places = _places(clients, tenants)
            single = _place_of_one(clients, places, draw)
            claimed = site.claim("cpu")
            told += len(places)
            wrong += sorted(place for _, place in places.values()) != list(range(1, len(places) + 1))
            wrong += single
            if claimed is not None:
                wrong += places.get(claimed.job_id, (0, 0))[1] != 1
                running.append(claimed)
                begun += 1
    for client in clients:
        client.close()
    return {"places_told": told, "jobs_begun": begun, "wrong": wrong}


def _places(clients: list[httpx2.Client], tenants: list[Tenant]) -> dict[str, tuple[int, int]]:
    """Return of each job that waits whose it is and its place, as the lists tell it."""
    found: dict[str, tuple[int, int]] = {}
    for number, client in enumerate(clients[: len(tenants)]):
        jobs = client.get("/v1/jobs", params={"state": "queued", "page_size": 200}).json()
        assert jobs["next_page_token"] is None
        found |= {job["id"]: (number, job["queue_position"]) for job in jobs["jobs"]}
    return found


def _place_of_one(clients: list[httpx2.Client], places: dict[str, tuple[int, int]], draw: random.Random) -> int:
    """Return 1 where a job itself tells another place than the list, else 0."""
    if not places:
        return 0
    job_id, (number, place) = draw.choice(sorted(places.items()))
    return int(clients[number].get(f"/v1/jobs/{job_id}").json()["queue_position"] != place)


def _end(site: Site, claimed: Claim) -> None:
    with site.database.transaction() as session:
        finish(session, claimed, outcome="target_met", report={}, delivered=[])
