"""The buttons and links of a job's page: cancel, try again, download."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from app.services import Services
from core.tables import AuditEntry, Job, Project
from tests.app.dashboard.conftest import token_of
from tests.app.dashboard.reading import links_of, state_of
from tests.app.dashboard.samples import (
    add_model,
    finish_job,
    sample_report,
    start_job,
    submit_job,
)


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://dashboard.test"}])
def test_a_form_of_ours_cancels_a_job(admin: TestClient, services: Services, headers: dict[str, str]) -> None:
    job_id = submit_job(services.database, add_model(services.database))

    answer = admin.post(f"/admin/jobs/{job_id}/cancel", data={"csrf": token_of(admin, "/admin")}, headers=headers)

    assert answer.headers["location"] == f"/admin/jobs/{job_id}"
    assert state_of(services, job_id) == "cancelled"
    with services.database.transaction() as session:
        noted = session.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()
        assert noted is not None
        assert (noted.actor, noted.action) == ("key_admin", f"POST /admin/jobs/{job_id}/cancel")
        assert noted.target == f"/v1/jobs/{job_id}"


def test_a_form_of_ours_holds_a_job_and_lets_it_go_on(admin: TestClient, services: Services) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    token = {"csrf": token_of(admin, "/admin")}

    paused = admin.post(f"/admin/jobs/{job_id}/pause", data=token, follow_redirects=True)
    held = state_of(services, job_id)
    resumed = admin.post(f"/admin/jobs/{job_id}/resume", data=token, follow_redirects=True)

    assert (held, state_of(services, job_id)) == ("paused", "submitted")
    assert '<button class="primary">Resume</button>' in paused.text
    assert "<button>Pause</button>" in resumed.text


def test_a_job_that_is_over_cannot_be_cancelled_and_the_page_says_why(admin: TestClient, finished_job: str) -> None:
    answer = admin.post(f"/admin/jobs/{finished_job}/cancel", data={"csrf": token_of(admin, "/admin")})

    assert answer.status_code == 409
    assert "succeeded" in answer.text


def test_trying_again_submits_the_same_as_a_new_job(admin: TestClient, services: Services, finished_job: str) -> None:
    answer = admin.post(f"/admin/jobs/{finished_job}/retry", data={"csrf": token_of(admin, "/admin")})

    new_id = answer.headers["location"].removeprefix("/admin/jobs/")
    with services.database.transaction() as session:
        new, old = session.get_one(Job, new_id), session.get_one(Job, finished_job)
        assert new.retry_of == finished_job
        assert (new.model_id, new.dataset_id, new.recipe) == (old.model_id, old.dataset_id, old.recipe)


def test_a_project_that_has_enough_jobs_is_told_so_on_a_page(
    admin: TestClient, services: Services, finished_job: str
) -> None:
    with services.database.transaction() as session:
        session.execute(update(Project).values(max_jobs_waiting=0))

    answer = admin.post(f"/admin/jobs/{finished_job}/retry", data={"csrf": token_of(admin, "/admin")})

    assert answer.status_code == 403
    assert "0 jobs of the project wait" in answer.text


def test_a_download_is_a_file_and_not_a_page(admin: TestClient, services: Services, tmp_path: Path) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    content = bytes(range(256)) * 5000
    sha256 = finish_job(
        services.database, services.storage, start_job(services.database, job_id), tmp_path, sample_report(), content
    )
    link = next(link for link in links_of(admin.get(f"/admin/jobs/{job_id}").text) if "/artifacts/" in link)

    answer = admin.get(link)

    assert answer.content == content
    assert answer.headers["etag"] == f'"{sha256}"'
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["cache-control"] == "no-store"


def test_a_download_is_resumed_and_checked_like_the_apis(
    admin: TestClient, services: Services, finished_job: str
) -> None:
    link = next(link for link in links_of(admin.get(f"/admin/jobs/{finished_job}").text) if "/artifacts/" in link)
    whole = admin.get(link)

    rest = admin.get(link, headers={"Range": "bytes=3-"})

    assert (rest.status_code, rest.content) == (206, whole.content[3:])
    assert whole.headers["repr-digest"].startswith("sha-256=:")
    assert admin.get(link, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_a_file_that_is_gone_is_a_page_that_says_so(admin: TestClient, services: Services, finished_job: str) -> None:
    link = next(link for link in links_of(admin.get(f"/admin/jobs/{finished_job}").text) if "/artifacts/" in link)
    services.storage.delete(admin.get(link).headers["etag"].strip('"'))

    answer = admin.get(link)

    assert answer.status_code == 410
    assert "no longer stored" in answer.text


def test_a_file_of_another_job_is_not_found(admin: TestClient, services: Services, finished_job: str) -> None:
    other = submit_job(services.database, add_model(services.database, "other.onnx"))
    link = next(link for link in links_of(admin.get(f"/admin/jobs/{finished_job}").text) if "/artifacts/" in link)

    answer = admin.get(link.replace(finished_job, other))

    assert answer.status_code == 404
