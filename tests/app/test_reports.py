"""A report as JSON, as a page that stands alone, as pictures, and beside another one."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from markupsafe import escape

from engine.recipe import Recipe, Units
from engine.report import Interval, Report
from tests.app.dashboard.samples import sample_front, sample_report
from tests.app.running import Service, assert_problem, finish_job, make_job, start_job


def reported(service: Service, client: httpx2.Client, report: Report) -> dict[str, Any]:
    job = make_job(client)
    finish_job(service, start_job(service, job["id"]), **report.model_dump(mode="json"))
    return job


def test_a_page_of_the_report_needs_nothing_else(service: Service, client: httpx2.Client) -> None:
    report = sample_report()
    job = reported(service, client, report)

    page = client.get(job["links"]["report"], headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert escape(report.summary) in page.text
    assert job["id"] in page.text
    assert page.text.count("<svg") >= 5
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script", page.text)
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html"])
def test_who_does_not_ask_for_a_page_gets_json(service: Service, client: httpx2.Client, accept: str | None) -> None:
    job = reported(service, client, sample_report())

    answer = client.get(job["links"]["report"], headers={"Accept": accept} if accept else {})

    assert Report.model_validate(answer.json()) == sample_report()
    assert answer.headers["Vary"] == "Accept"


def test_every_picture_is_a_file_of_its_own(service: Service, client: httpx2.Client) -> None:
    job = reported(service, client, sample_front())
    path = f"{job['links']['self']}/plots"

    for name in ("latency", "ratio", "fidelity", "units", "recovery", "data", "stages", "front"):
        answer = client.get(f"{path}/{name}")
        assert answer.headers["Content-Type"] == "image/svg+xml", answer.text
        drawn = ElementTree.fromstring(answer.text)
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert drawn[0].tag.endswith("style")
    assert_problem(client.get(f"{path}/x"), 404, "not-found", "latency", "front")


def test_a_job_without_a_report_has_no_page_and_no_picture(client: httpx2.Client) -> None:
    job = make_job(client)

    for part in ("report", "plots/latency", f"compare/{job['id']}"):
        assert_problem(client.get(f"{job['links']['self']}/{part}"), 404, "not-found", "submitted")


def test_a_report_of_another_version_is_left_to_its_file(service: Service, client: httpx2.Client) -> None:
    job = make_job(client)
    finish_job(service, start_job(service, job["id"]), summary="of old")

    assert client.get(job["links"]["report"]).json() == {"summary": "of old"}
    assert_problem(client.get(f"{job['links']['self']}/plots/data"), 404, "not-found", "another version")


def test_two_jobs_are_laid_side_by_side(service: Service, client: httpx2.Client) -> None:
    one = sample_report()
    slower = one.latency.model_copy(update={"ratio": Interval(value=0.8, low=0.78, high=0.82)})
    units = tuple(unit.model_copy(update={"decision": "kept"}) for unit in one.units)
    other = one.model_copy(update={"latency": slower, "units": units, "recipe": Recipe(target=Units(units=3), seed=5)})
    jobs = [reported(service, client, report) for report in (one, other)]
    cut = [unit.name for unit in one.units if unit.decision == "cut"]

    found = client.get(f"{jobs[0]['links']['self']}/compare/{jobs[1]['id']}").json()

    figures = {figure["name"]: figure for figure in found["figures"]}
    ratio = figures["latency_ratio"]
    assert (ratio["first"], ratio["second"], ratio["is_sure"]) == (one.latency.ratio.value, 0.8, True)
    assert ratio["difference"] == pytest.approx(0.8 - one.latency.ratio.value)
    assert (figures["agreement"]["difference"], figures["agreement"]["is_sure"]) == (0.0, False)
    assert figures["macs"]["is_sure"] is None
    assert found["units"]["cut_in_first_only"] == cut
    assert found["units"]["cut_in_both"] == found["units"]["cut_in_second_only"] == []
    differing = {one["key"]: (one["first"], one["second"]) for one in found["recipe"]}
    assert differing["seed"] == (0, 5)
    assert differing["target.units"] == (None, 3)
    assert [line for line in found["warnings"] if "different models" in line]


def test_a_job_beside_itself_differs_in_nothing(service: Service, client: httpx2.Client) -> None:
    job = reported(service, client, sample_report())

    found = client.get(f"{job['links']['self']}/compare/{job['id']}").json()

    assert (found["recipe"], found["warnings"]) == ([], [])
    assert all(figure["difference"] in (0, None) and not figure["is_sure"] for figure in found["figures"])
