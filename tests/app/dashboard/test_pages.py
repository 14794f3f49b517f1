"""Every page of PAGES, the entrance, the buttons: what they show, and whom they refuse."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.dashboard import PAGES, Page
from app.services import Services
from core import jobs
from core.db import utc_now
from core.keys import DEFAULT_PROJECT_ID, SCOPES, create_key
from core.problems import problem
from core.settings import Settings
from core.tables import ApiKey, Job, Project
from tests.app.dashboard.conftest import application_of, browser_of, sign_in, token_of
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


def page_of(page: Page, job_id: str) -> str:
    return page.path.format(job_id=job_id)


@pytest.fixture
def finished_job(services: Services, tmp_path: Path) -> str:
    job_id = submit_job(services.database, add_model(services.database), dataset_id=add_dataset(services.database))
    claim = start_job(services.database, job_id)
    beat(services.database, claim, "score", 0.3, "unit 7 of 27")
    finish_job(services.database, services.storage, claim, tmp_path, sample_report())
    return job_id


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
        _, key = create_key(session, project_id="prj_other", name="admin", scopes=SCOPES, pepper=services.pepper)

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


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://dashboard.test"}])
def test_a_form_of_ours_cancels_a_job(admin: TestClient, services: Services, headers: dict[str, str]) -> None:
    job_id = submit_job(services.database, add_model(services.database))

    answer = admin.post(f"/admin/jobs/{job_id}/cancel", data={"csrf": token_of(admin, "/admin")}, headers=headers)

    assert answer.headers["location"] == f"/admin/jobs/{job_id}"
    assert state_of(services, job_id) == "cancelled"


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
    report = sample_report(units=(unit,), summary=HOSTILE, warnings=(HOSTILE,))
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


class _Tags(HTMLParser):
    """Collects the tags of a page, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))


def tags_of(html: str) -> list[tuple[str, dict[str, str]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.seen


def links_of(html: str) -> list[str]:
    return [attributes["href"] for name, attributes in tags_of(html) if name == "a"]


def found(client: TestClient, query: str) -> list[str]:
    links = links_of(client.get("/admin/jobs" + query).text)
    return [link.removeprefix("/admin/jobs/") for link in links if link.startswith("/admin/jobs/job_")]


def state_of(services: Services, job_id: str) -> str:
    with services.database.transaction() as session:
        return session.get_one(Job, job_id).state
