"""Who comes in: the entrance, sessions and forms; everyone else is sent away."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from app.dashboard import PAGES, Page
from app.services import Services
from core.db import utc_now
from core.keys import ADMIN_SCOPES, create_key
from core.scopes import DEFAULT_PROJECT_ID
from core.tables import ApiKey, Project
from tests.app.dashboard.conftest import token_of
from tests.app.dashboard.reading import page_of, state_of
from tests.app.dashboard.samples import (
    add_model,
    submit_job,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_stranger_sees_no_page_and_comes_back_after_signing_in(
    visitor: TestClient, admin_key: str, finished_job: str, page: Page
) -> None:
    path = page_of(page, finished_job)

    refused = visitor.get(path)
    entrance = visitor.get(refused.headers["location"])
    fields = {"csrf": token_of(visitor), "key": admin_key, "next": path}
    signed_in = visitor.post("/admin/login", data=fields)

    assert (refused.status_code, refused.text) == (303, "")
    assert f'name="next" value="{path}"' in entrance.text
    assert signed_in.headers["location"] == path


@pytest.mark.parametrize("path", ["/stream", "/artifacts/art_0"])
def test_a_stranger_gets_no_stream_and_no_file(visitor: TestClient, finished_job: str, path: str) -> None:
    answer = visitor.get(f"/admin/jobs/{finished_job}{path}")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/admin/login")


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_stranger_can_do_nothing(visitor: TestClient, services: Services, action: str) -> None:
    job_id = submit_job(services.database, add_model(services.database))

    answer = visitor.post(f"/admin/jobs/{job_id}/{action}", data={"csrf": token_of(visitor)})

    assert answer.headers["location"].startswith("/admin/login")
    assert state_of(services, job_id) == "submitted"


@pytest.mark.parametrize("key", ["", "sct_wrong", "sct_" + "0" * 12 + "_" + "0" * 59])
def test_a_wrong_key_is_refused(visitor: TestClient, key: str) -> None:
    answer = visitor.post("/admin/login", data={"csrf": token_of(visitor), "key": key})

    assert answer.status_code == 403
    assert "does not open the dashboard" in answer.text
    assert visitor.get("/admin").status_code == 303


def test_a_key_without_the_scope_admin_is_refused(visitor: TestClient, services: Services) -> None:
    with services.database.transaction() as session:
        scopes = ["read", "write"]
        _, key = create_key(session, project_id=DEFAULT_PROJECT_ID, name="ci", scopes=scopes, pepper=services.pepper)

    answer = visitor.post("/admin/login", data={"csrf": token_of(visitor), "key": key})

    assert answer.status_code == 403


def test_the_admin_of_a_project_is_no_operator(visitor: TestClient, services: Services) -> None:
    """The dashboard shows every project's jobs."""
    with services.database.transaction() as session:
        session.add(Project(id="prj_other", name="other", created_at=utc_now(session)))
        session.flush()
        _, key = create_key(session, project_id="prj_other", name="admin", scopes=ADMIN_SCOPES, pepper=services.pepper)

    answer = visitor.post("/admin/login", data={"csrf": token_of(visitor), "key": key})

    assert answer.status_code == 403
    assert visitor.get("/admin").status_code == 303


def test_a_revoked_key_closes_its_sessions(admin: TestClient, services: Services) -> None:
    with services.database.transaction() as session:
        for row in session.query(ApiKey):
            row.revoked_at = row.created_at

    assert admin.get("/admin").status_code == 303


def test_signing_out_closes_the_session(admin: TestClient) -> None:
    answer = admin.post("/admin/logout", data={"csrf": token_of(admin, "/admin")})

    assert answer.headers["location"] == "/admin/login"
    assert admin.get("/admin").status_code == 303


def test_a_changed_cookie_is_no_session(admin: TestClient) -> None:
    name, value = next(iter(admin.cookies.items()))
    admin.cookies.clear()
    admin.cookies.set(name, value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))

    assert admin.get("/admin").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_other_sites(visitor: TestClient) -> None:
    plain = visitor.get("/admin/login").headers["set-cookie"]
    secure = visitor.get("https://dashboard.test/admin/login").headers["set-cookie"]

    for part in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert part in plain
        assert part in secure
    assert "Secure" not in plain
    assert secure.startswith("__Host-")
    assert "Secure" in secure


@pytest.mark.parametrize("address", ["https://elsewhere.test/", "//elsewhere.test", "/admin/..//x?y", "/v1/jobs"])
def test_signing_in_leads_nowhere_but_to_the_dashboard(visitor: TestClient, admin_key: str, address: str) -> None:
    fields = {"csrf": token_of(visitor), "key": admin_key, "next": address}

    answer = visitor.post("/admin/login", data=fields)

    assert answer.headers["location"] == "/admin"


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("guessed", {}),
        ("ours", {"Sec-Fetch-Site": "cross-site"}),
        ("ours", {"Sec-Fetch-Site": "same-site"}),
        ("ours", {"Origin": "http://elsewhere.test"}),
    ],
)
def test_a_form_that_is_not_ours_is_refused(
    admin: TestClient, services: Services, token: str, headers: dict[str, str]
) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    token = token_of(admin, "/admin") if token == "ours" else token

    answer = admin.post(f"/admin/jobs/{job_id}/cancel", data={"csrf": token}, headers=headers)

    assert answer.status_code == 403
    assert state_of(services, job_id) == "submitted"
