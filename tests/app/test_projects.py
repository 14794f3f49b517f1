"""Organisations and projects: who makes them, who sees them, what they may have, and what they have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from app.projects.service import GOES_ALONG, HELD
from core.db import Database
from core.tables import Attempt, Job, Row
from tests.app.running import (
    Service,
    assert_problem,
    finish_job,
    make_job,
    make_model,
    put_file,
    start_job,
)


def make_organization(operator: httpx2.Client, name: str = "acme", **limits: int) -> dict[str, Any]:
    response = operator.post("/v1/organizations", json={"name": name, "limits": limits})
    assert response.status_code == 201, response.text
    return dict(response.json())


def make_project(admin: httpx2.Client, **body: Any) -> tuple[str, str]:
    """Make a project and a key for it; return its id and the key."""
    project_id = admin.post("/v1/projects", json={"name": "vision", **body}).json()["id"]
    made = admin.post(f"/v1/projects/{project_id}/keys", json={"name": "ci", "scopes": ["admin"]})
    assert made.status_code == 201, made.text
    return project_id, made.json()["key"]


def test_from_an_organisation_to_a_project_to_a_key_to_a_job(any_service: Service) -> None:
    with any_service.client() as operator:
        made = make_organization(operator)
    with any_service.client(made["admin_key"]["key"]) as admin:
        project_id, key = make_project(admin)
        names = [project["name"] for project in admin.get("/v1/projects").json()["projects"]]
        with any_service.client(key) as client:
            job = make_job(client)
            assert client.get("/v1/me").json()["organization_id"] == made["id"]
            assert client.get(f"/v1/jobs/{job['id']}").status_code == 200
        assert names == ["vision", "acme"]
        assert_problem(admin.get(f"/v1/jobs/{job['id']}"), 404, "not-found")
        assert admin.get(f"/v1/projects/{project_id}/usage").json()["now"]["jobs_waiting"] == 1


def test_an_organisation_sees_itself_alone_and_the_operator_all(service: Service) -> None:
    with service.client() as operator:
        one, other = make_organization(operator, "one"), make_organization(operator, "other")
        seen = {found["id"] for found in operator.get("/v1/organizations").json()["organizations"]}
        theirs = operator.get("/v1/projects", params={"organization_id": one["id"]}).json()["projects"]
        assert operator.get(f"/v1/projects/{one['project']['id']}").status_code == 200

    assert {one["id"], other["id"], "org_default"} <= seen
    assert [project["id"] for project in theirs] == [one["project"]["id"]]
    with service.client(one["admin_key"]["key"]) as admin:
        assert [found["id"] for found in admin.get("/v1/organizations").json()["organizations"]] == [one["id"]]
        for path in (f"/v1/organizations/{other['id']}", f"/v1/projects?organization_id={other['id']}"):
            assert_problem(admin.get(path), 404, "not-found")
        refused = admin.post("/v1/projects", json={"name": "x", "organization_id": other["id"]})
        assert_problem(refused, 404, "not-found")
        assert_problem(admin.post("/v1/organizations", json={"name": "x"}), 403, "forbidden-scope", "operator")


def test_nobody_climbs_to_the_operator(service: Service) -> None:
    """An admin of the first organisation who is not the operator gets no admin key of the first project."""
    with service.client() as operator:
        made = operator.post("/v1/keys", json={"name": "a", "scopes": ["organization:admin"]}).json()
    with service.client(made["key"]) as admin:
        refused = admin.post("/v1/projects/prj_default/keys", json={"name": "b", "scopes": ["admin"]})
        assert_problem(refused, 403, "forbidden-scope", "operator")
        assert_problem(admin.get("/metrics"), 403, "forbidden-scope")
        assert_problem(admin.delete("/v1/keys/key_admin"), 403, "forbidden-scope")
        project_id, key = make_project(admin)
    with service.client(key) as client:
        assert client.get(f"/v1/projects/{project_id}").status_code == 200
        assert_problem(client.get("/v1/projects/prj_default"), 404, "not-found")


def test_limits_are_changed_by_name_and_lifted_by_null(service: Service) -> None:
    with service.client() as operator:
        made = make_organization(operator, jobs_running=4)
        path = f"/v1/projects/{made['project']['id']}"
        operator.patch(path, json={"limits": {"jobs_running": 2, "jobs_waiting": 9}})
        operator.patch(path, json={"name": "renamed"})
        changed = operator.patch(path, json={"limits": {"jobs_waiting": None}}).json()
        in_force = operator.get(path + "/usage").json()["limits"]
        operator.patch(path, json={"limits": {"jobs_running": 9}})
        bounded = operator.get(path + "/usage").json()["limits"]

    assert changed["name"] == "renamed"
    assert (changed["limits"]["jobs_running"], changed["limits"]["jobs_waiting"]) == (2, None)
    assert (in_force["jobs_running"], bounded["jobs_running"]) == (2, 4)
    assert in_force["retention_days"] == service.services.settings.retention_days


def test_an_organisations_limits_are_the_operators(service: Service) -> None:
    with service.client() as operator:
        made = make_organization(operator)
    with service.client(made["admin_key"]["key"]) as admin:
        path = f"/v1/organizations/{made['id']}"
        assert admin.patch(path, json={"name": "new"}).json()["name"] == "new"
        assert_problem(admin.patch(path, json={"limits": {"jobs_running": 99}}), 403, "forbidden-scope")


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        ({"jobs_running": -1}, "/limits/jobs_running"),
        ({"requests_per_minute": 0}, "/limits/requests_per_minute"),
        ({"retention_days": 10**9}, "/limits/retention_days"),
        ({"stored_bytes": 2**60}, "/limits/stored_bytes"),
    ],
)
def test_limits_out_of_range_are_told(client: httpx2.Client, service: Service, limits: Any, pointer: str) -> None:
    with service.client() as operator:
        problem = assert_problem(
            operator.patch("/v1/projects/prj_default", json={"limits": limits}), 422, "validation-failed"
        )

    assert problem["errors"][0]["pointer"] == pointer


def test_a_project_is_deleted_when_it_has_nothing_any_more(any_service: Service) -> None:
    with any_service.client() as operator:
        project_id, key = make_project(operator)
        with any_service.client(key) as client:
            upload = put_file(client)
        refused = operator.delete(f"/v1/projects/{project_id}")
        with any_service.client(key) as client:
            client.delete(f"/v1/uploads/{upload['id']}")

        assert_problem(refused, 409, "state-conflict", "uploads")
        assert operator.delete(f"/v1/projects/{project_id}").status_code == 204
        assert operator.get(f"/v1/projects/{project_id}").status_code == 404
        assert_problem(operator.delete("/v1/projects/prj_default"), 409, "state-conflict")


def limited(service: Service, **limits: int) -> tuple[httpx2.Client, str]:
    """Open a client of a fresh project with these limits."""
    with service.client() as operator:
        project_id, key = make_project(operator, limits=limits)
    return service.client(key), project_id


def test_no_more_jobs_wait_than_may(any_service: Service) -> None:
    client, _ = limited(any_service, jobs_waiting=2)
    with client:
        model_id = make_model(client)
        jobs = [make_job(client, model_id) for _ in range(2)]
        refused = client.post("/v1/jobs", json={"model_id": model_id})
        client.post(f"/v1/jobs/{jobs[0]['id']}/cancel")
        retried = client.post(f"/v1/jobs/{jobs[0]['id']}/retry")
        again = client.post(f"/v1/jobs/{jobs[0]['id']}/retry")

    problem = assert_problem(refused, 403, "quota-exceeded", "2 jobs of the project wait")
    assert (problem["quota"], problem["limit"]) == ("jobs_waiting", 2)
    assert retried.status_code == 202
    assert_problem(again, 403, "quota-exceeded")


def test_bytes_are_counted_once_and_refused_before_they_come(any_service: Service) -> None:
    client, _ = limited(any_service, stored_bytes=10)
    with client:
        known = put_file(client, b"1234567")
        twice = client.post("/v1/uploads", json={"filename": "b", "size_bytes": 7, "sha256": known["sha256"]})
        small = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 3})
        big = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 4})
        whole = client.put("/v1/files", params={"filename": "b"}, content=b"1234")
        used = client.get("/v1/usage").json()["now"]["stored_bytes"]

    assert (twice.status_code, small.status_code) == (201, 201)
    assert_problem(big, 403, "quota-exceeded")
    assert_problem(whole, 403, "quota-exceeded")
    assert used == 10


def test_compute_time_is_counted_by_month_and_device_and_ends(any_service: Service) -> None:
    client, project_id = limited(any_service, compute_seconds_per_month=100)
    with client:
        model_id = make_model(client)
        for seconds in (40, 70):
            job = make_job(client, model_id)
            running = start_job(any_service, job["id"])
            started_earlier(any_service.database, job["id"], seconds)
            assert client.get("/v1/usage").json()["now"]["compute_seconds_per_month"] >= seconds
            finish_job(any_service, running)
        client.delete(f"/v1/jobs/{job['id']}")
        usage = client.get("/v1/usage").json()
        refused = client.post("/v1/jobs", json={"model_id": model_id})
        before = client.get("/v1/usage", params={"month": "2020-01"}).json()

    (compute,) = usage["compute"]
    assert (compute["device"], compute["attempts"]) == ("cpu", 2)
    assert compute["seconds"] == pytest.approx(110, abs=20)
    assert usage["project_id"] == project_id
    assert usage["month"] == f"{datetime.now(UTC):%Y-%m}"
    assert (before["month"], before["compute"]) == ("2020-01", [])
    assert_problem(refused, 403, "quota-exceeded", "in a month")


def started_earlier(database: Database, job_id: str, seconds: float) -> None:
    """Let a running job have begun so long ago."""
    with database.transaction() as session:
        job = session.get_one(Job, job_id)
        assert job.running_at is not None
        began = job.running_at - timedelta(seconds=seconds)
        this_attempt = update(Attempt).where(Attempt.job_id == job_id, Attempt.attempt == job.attempt)
        session.execute(this_attempt.values(started_at=began))
        job.running_at = began


def test_whatever_is_of_a_project_is_thought_of_when_it_is_deleted() -> None:
    """A new table of a project's things must be deleted first, go along, or go with something that is deleted first."""
    gone_before = {"job_labels", "artifacts", "webhook_deliveries", "examinations"}
    kept = {"audit"}
    known = {table.__tablename__ for table in (*HELD.values(), *GOES_ALONG)} | gone_before | kept

    assert {table.name for table in Row.metadata.tables.values() if "project_id" in table.c} == known
