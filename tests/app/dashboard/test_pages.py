"""Every page of PAGES: what it shows, on either database, and that nothing in it can do harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from app.dashboard import PAGES, Page
from app.services import Services
from core import jobs
from core.problems import problem
from core.scopes import DEFAULT_PROJECT_ID
from core.settings import Settings
from core.tables import ComputeUsage, Project
from engine.report import CheckFigure, DataUse
from tests.app.dashboard.conftest import application_of, browser_of, sign_in
from tests.app.dashboard.reading import found, links_of, page_of, tags_of
from tests.app.dashboard.samples import (
    add_dataset,
    add_model,
    add_worker,
    beat,
    finish_job,
    sample_report,
    start_job,
    submit_job,
)

HOSTILE = "<script>alert('&\"</script><img src=x onerror=alert(1)>"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_signed_in_admin_sees_every_page(admin: TestClient, finished_job: str, page: Page) -> None:
    answer = admin.get(page_of(page, finished_job))

    assert answer.status_code == 200
    assert f"<title>{page.title}" in answer.text


def test_every_page_reads_either_database(settings: Settings, admin_key: str) -> None:
    with browser_of(application_of(settings, admin_key)) as client:
        sign_in(client, admin_key)
        database = client.app.state.services.database
        job_id = submit_job(database, add_model(database, "Mobile_Net.onnx"), dataset_id=add_dataset(database))
        start_job(database, job_id)
        add_worker(database, job_id)

        for page in PAGES:
            assert client.get(page_of(page, job_id)).status_code == 200, page
        assert found(client, "?search=mobile_n&state=running") == [job_id]
        assert found(client, f"?search={job_id[:20]}") == [job_id]
        assert found(client, "?search=mobile%25") == []


def test_projects_are_shown_with_what_they_have_and_may_have(
    admin: TestClient, services: Services, finished_job: str
) -> None:
    submit_job(services.database, add_model(services.database))
    with services.database.transaction() as session:
        project = session.get_one(Project, DEFAULT_PROJECT_ID)
        project.max_jobs_waiting, project.max_compute_seconds_per_month, project.name = 7, 7200, HOSTILE
        session.execute(update(ComputeUsage).values(seconds=3600.0))

    page = re.sub(r"<[^>]+>|\s+", " ", admin.get("/admin/projects").text)

    assert re.search(r" 1 +of 7 ", page)
    assert re.search(r"1 h .*of +2 h", page)
    assert "no limit" in page
    assert HOSTILE not in admin.get("/admin/projects").text


@pytest.mark.parametrize("job_id", ["job_0", "job_" + "0" * 26, "%00", "<script>"])
def test_an_unknown_job_is_a_page_that_says_so(admin: TestClient, job_id: str) -> None:
    answer = admin.get(f"/admin/jobs/{job_id}")

    assert answer.status_code == 404
    assert "There is no such job" in answer.text
    assert "<script>" not in answer.text


def test_the_list_is_cut_into_pages_that_lose_nothing(admin: TestClient, services: Services) -> None:
    model_id = add_model(services.database)
    submitted = [submit_job(services.database, model_id) for _ in range(103)]

    seen, path = [], "/admin/jobs"
    while path:
        links = links_of(admin.get(path).text)
        seen += [link.removeprefix("/admin/jobs/") for link in links if link.startswith("/admin/jobs/job_")]
        path = next((link for link in links if "before=" in link), "")

    assert seen == sorted(submitted, reverse=True)


def test_the_list_finds_by_state_id_and_name(admin: TestClient, services: Services, finished_job: str) -> None:
    waiting = submit_job(services.database, add_model(services.database, "Mobile_Net.onnx"))

    assert found(admin, "?state=succeeded") == [finished_job]
    assert found(admin, "?state=submitted") == [waiting]
    assert found(admin, "?state=nonsense") == [waiting, finished_job]
    assert found(admin, "?search=mobile_n") == [waiting]
    assert found(admin, "?search=mobile%25") == []
    assert found(admin, f"?search={finished_job[:25]}&state=succeeded") == [finished_job]
    assert found(admin, "?search=%00") == [waiting, finished_job]
    assert admin.get(f"/admin/jobs?search={waiting}").headers["location"] == f"/admin/jobs/{waiting}"


def test_the_overview_shows_queue_and_workers(admin: TestClient, services: Services) -> None:
    model_id = add_model(services.database)
    running = submit_job(services.database, model_id)
    start_job(services.database, running)
    submit_job(services.database, model_id, device="gpu")
    add_worker(services.database, running)

    text = admin.get("/admin").text

    assert "2 jobs are not over yet" in text
    assert "prune-1" in text
    assert "bubblewrap" in text
    assert f"/admin/jobs/{running}" in links_of(text)


def test_hostile_text_is_escaped_wherever_it_comes_from(admin: TestClient, services: Services, tmp_path: Path) -> None:
    """Names of models, data, nodes and workers, labels, messages, errors: in lists, pages and pictures."""
    database = services.database
    model_id, dataset_id = add_model(database, HOSTILE), add_dataset(database, HOSTILE)
    told = {"dataset_id": dataset_id, "labels": {HOSTILE: HOSTILE}}
    done, failed, running = (submit_job(database, model_id, **told) for _ in range(3))
    unit = sample_report().units[0].model_copy(update={"name": HOSTILE, "reason": HOSTILE})
    report = sample_report(units=(unit,), summary=HOSTILE, warnings=(HOSTILE,), unruled=(HOSTILE,))
    finish_job(database, services.storage, start_job(database, done), tmp_path, report)
    claim = start_job(database, failed)
    error = problem("x", HOSTILE, status=422, detail=HOSTILE, where=HOSTILE)
    database.do(lambda session: jobs.fail(session, claim, error, detail=HOSTILE))
    beat(database, start_job(database, running), "<b>stage", 0.5, HOSTILE)
    add_worker(database, running, host=HOSTILE)

    for path in ("/admin", "/admin/jobs", *(f"/admin/jobs/{job_id}" for job_id in (done, failed, running))):
        tags = tags_of(admin.get(path).text)

        assert [name for name, _ in tags].count("script") == 1, path
        assert not [name for name, _ in tags if name in ("img", "b")], path
        assert not [attribute for _, attributes in tags for attribute in attributes if attribute.startswith("on")], path


def test_every_answer_carries_the_safe_headers_and_nothing_inline(admin: TestClient, finished_job: str) -> None:
    for path in ("/admin", "/admin/jobs", f"/admin/jobs/{finished_job}", "/admin/login", "/admin/jobs/job_0"):
        answer = admin.get(path)
        policy = answer.headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        for name, attributes in tags_of(answer.text):
            assert "style" not in attributes, path
            assert name != "style", path


def test_every_address_that_a_page_loads_is_ours_and_there(admin: TestClient) -> None:
    tags = tags_of(admin.get("/admin").text)
    loaded = [attributes.get("src") or attributes["href"] for name, attributes in tags if name in ("script", "link")]

    assert loaded
    for address in loaded:
        assert address.startswith("/admin/static/")
        answer = admin.get(address)
        assert answer.status_code == 200
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert admin.get("/admin/static/nothing.css").status_code == 404


def test_a_report_of_another_version_does_not_break_the_page(admin: TestClient, services: Services) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim, report = start_job(services.database, job_id), {"format_version": 99}
    services.database.do(lambda session: jobs.finish(session, claim, outcome="target_met", report=report, delivered=[]))

    answer = admin.get(f"/admin/jobs/{job_id}")

    assert answer.status_code == 200
    assert "another version" in answer.text


def test_the_check_of_made_images_is_told_figure_by_figure(
    admin: TestClient, services: Services, tmp_path: Path
) -> None:
    figures = (
        CheckFigure(name="mean confidence", value=0.4321, low=0.5, high=0.99, passed=False),
        CheckFigure(name="dead channels", value=0.0123, low=None, high=0.1, passed=True),
    )
    made = DataUse(
        rung=2,
        source="inverted",
        repair_images=256,
        selection_images=64,
        test_images=0,
        synthesis="inversion",
        check=figures,
    )
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    finish_job(services.database, services.storage, claim, tmp_path, sample_report(data=made, fidelity=None))

    html = admin.get(f"/admin/jobs/{job_id}").text

    section = html[html.index('id="data"') : html.index('id="units"')]
    rows = [_cells(row) for row in section.split("<tr>")[2:]]
    assert "rung 2 of the data ladder, <code>inversion</code>" in section
    assert rows == [
        ["mean confidence", "0.432", "0.5", "0.99", "failed"],
        ["dead channels", "0.0123", "any", "0.1", "passed"],
    ]


def _cells(row: str) -> list[str]:
    """Return the text of each cell of a row's markup."""
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row.partition("</tr>")[0])
    return [re.sub(r"<[^>]+>", "", cell) for cell in cells]
