"""A front on the page of its job: every network in the picture, in the table and to be downloaded."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from app.dashboard.front_chart import front_chart
from app.dashboard.job_view import BEFORE_CANDIDATES
from app.services import Services
from engine.progress import candidate
from engine.recipe import Pareto, Recipe
from tests.app.dashboard.reading import links_of
from tests.app.dashboard.samples import add_model, beat, finish_job, sample_front, start_job, submit_job
from tests.app.dashboard.test_job_view import road_of


@pytest.mark.parametrize("count", [1, 3, 16])
def test_every_network_is_a_mark_and_a_faster_one_stands_further_left(count: int) -> None:
    report = sample_front(count)

    drawn = ElementTree.fromstring(front_chart(report.candidates, report.dropped))

    marks = [mark for mark in drawn.iter("circle") if mark.get("class") in ("model", "delivered")]
    assert [mark.get("class") for mark in marks].count("model") == 1
    across = [float((mark.get("cx") or "").rstrip("%")) for mark in marks]
    down = [float(mark.get("cy") or "") for mark in marks]
    assert len(marks) == count
    assert across == sorted(across, reverse=True)
    assert down == sorted(down, reverse=True)  # more error is higher up
    for element in drawn.iter():
        for name in ("x", "x1", "x2", "cx"):
            place = element.get(name, "0")
            assert not place.endswith("%") or 0 <= float(place[:-1]) <= 100
    assert sum(mark.get("class") == "dropped" for mark in drawn.iter("circle")) == 1


def test_every_network_can_be_downloaded_from_the_page(admin: TestClient, services: Services, tmp_path: Path) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    finish_job(services.database, services.storage, claim, tmp_path, sample_front(4), content=b"one of the front")

    html = admin.get(f"/admin/jobs/{job_id}").text

    links = [link for link in links_of(html) if "/artifacts/" in link]
    assert len(links) == 5  # the model's button and the table's
    assert all(admin.get(link).content == b"one of the front" for link in links)
    assert html.count("<svg") > 5


def test_the_road_of_a_front_leads_past_its_networks(services: Services) -> None:
    recipe = Recipe(target=Pareto(pareto=8)).model_dump(mode="json")
    job_id = submit_job(services.database, add_model(services.database), recipe=recipe)
    claim = start_job(services.database, job_id)

    before = tuple(road_of(services, job_id))
    for number in (1, 2):
        beat(services.database, claim, candidate(number), 0.3 + number / 10)

    assert before == BEFORE_CANDIDATES
    road = road_of(services, job_id)
    assert list(road)[-2:] == [candidate(1), candidate(2)]
    assert [road[candidate(number)].status for number in (1, 2)] == ["done", "now"]
