"""Who may come in: keys that are missing, mistyped, unknown, over, taken back, or too weak for what is asked."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import httpx2
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.identity import CACHE_SECONDS, FAMILY_OF_PATH, OPEN_TO_EVERY_KEY, scope_for
from app.keys.service import note_uses
from app.memory.key_uses import KeyUses
from core.db import open_database, upgrade
from core.keys import hash_key, load_pepper, new_key, parse, pepper_id
from core.scopes import OPERATOR, SCOPES, granted
from core.settings import Settings
from tests.app.running import Service, assert_problem, running_service, wait_until
from tests.conftest import make_settings

numbers = itertools.count(1000)


def test_without_a_key_nothing_opens(service: Service) -> None:
    response = httpx2.get(service.url + "/v1/me", timeout=30)

    assert_problem(response, 401, "unauthorized", "Authorization: Bearer sct_")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer  x", "sct_abc", "Bearer sct_abc", "Bearer \xff\xe9"])
def test_a_header_that_is_no_key_of_ours_is_refused(service: Service, header: str) -> None:
    response = httpx2.get(service.url + "/v1/me", headers={"Authorization": header.encode("latin-1")}, timeout=30)

    assert_problem(response, 401, "unauthorized")


def test_a_mistyped_key_is_told_from_an_unknown_one(service: Service) -> None:
    mistyped = service.key[:-1] + ("0" if service.key[-1] != "0" else "1")

    with service.client(mistyped) as client:
        assert_problem(client.get("/v1/me"), 401, "unauthorized", "copied")
    with service.client(new_key()) as client:
        assert_problem(client.get("/v1/me"), 401, "unauthorized", "no such key")


def test_a_key_that_ran_out_is_refused(service: Service) -> None:
    key = service.new_key(expires_at=datetime.now(UTC) - timedelta(seconds=1))

    with service.client(key) as client:
        assert_problem(client.get("/v1/me"), 401, "key-expired", "ran out", "another")


class AnHourLater(datetime):
    """A clock for whoever asks `datetime.now`."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(hours=1)


def test_a_key_runs_out_while_it_is_in_use(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    key = service.new_key(expires_at=datetime.now(UTC) + timedelta(minutes=50))

    with service.client(key) as client:
        assert client.get("/v1/me").status_code == 200
        monkeypatch.setattr("app.identity.datetime", AnHourLater)
        assert_problem(client.get("/v1/me"), 401, "key-expired")


def test_a_key_that_was_taken_back_opens_nothing_after_a_second(service: Service, client: httpx2.Client) -> None:
    made = client.post("/v1/keys", json={"name": "ci"}).json()
    with service.client(made["key"]) as guest:
        assert guest.get("/v1/me").json()["key_id"] == made["id"]

        assert client.delete(f"/v1/keys/{made['id']}").status_code == 204

        wait_until(lambda: guest.get("/v1/me").status_code == 401, CACHE_SECONDS + 30)
        assert_problem(guest.get("/v1/me"), 401, "key-expired", "revoked")


@pytest.mark.parametrize(
    ("scopes", "method", "path", "missing"),
    [
        (["read"], "POST", "/v1/jobs", "jobs:write"),
        (["read"], "PUT", "/v1/files?filename=a", "models:write"),
        (["jobs:write"], "PUT", "/v1/files?filename=a", "models:write"),
        (["write"], "GET", "/v1/jobs", "jobs:read"),
        (["models:read"], "GET", "/v1/jobs", "jobs:read"),
        (["jobs:read"], "GET", "/v1/webhooks", "webhooks:read"),
        (["read", "write"], "GET", "/v1/keys", "keys:admin"),
        (["keys:admin"], "GET", "/v1/audit", "audit:read"),
        (["admin"], "GET", "/v1/organizations", "organization:admin"),
        (["read", "write"], "GET", "/metrics", "admin"),
    ],
)
def test_a_key_does_what_its_scopes_say(
    service: Service, scopes: list[str], method: str, path: str, missing: str
) -> None:
    service.new_project(project_id := f"prj_{next(numbers):026}")
    with service.client(service.new_key(scopes, project_id)) as client:
        response = client.request(method, path, json={"model_id": "x"} if method == "POST" else None)

    assert assert_problem(response, 403, "forbidden-scope", missing)["required_scope"] == missing


@pytest.mark.parametrize("scopes", [["jobs:read"], ["read"], ["admin"], ["organization:admin"]])
def test_what_a_scope_includes_is_open(service: Service, scopes: list[str]) -> None:
    service.new_project(project_id := f"prj_{next(numbers):026}")
    with service.client(service.new_key(scopes, project_id)) as client:
        assert client.get("/v1/jobs").status_code == 200
        assert client.get("/v1/me").json()["scopes"] == scopes


def test_every_path_says_whose_it_is(client: httpx2.Client) -> None:
    paths = [path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/v1/")]
    known = {*FAMILY_OF_PATH, *OPEN_TO_EVERY_KEY, "keys", "organizations", "audit"}

    assert {path.split("/")[2] for path in paths} <= known
    assert scope_for("/v1/brand-new/x", "read") not in granted(SCOPES, "prj_default")


@given(st.lists(st.sampled_from(SCOPES), min_size=1, unique=True), st.lists(st.sampled_from(SCOPES), unique=True))
def test_more_scopes_never_grant_less(scopes: list[str], more: list[str]) -> None:
    for project_id in ("prj_default", "prj_other"):
        assert granted(scopes, project_id) <= granted([*scopes, *more], project_id)
    assert (OPERATOR in granted(scopes, "prj_default")) == ("admin" in scopes)
    assert OPERATOR not in granted(scopes, "prj_other")


@pytest.mark.parametrize(
    ("mine", "asked"),
    [
        (["keys:admin"], ["jobs:read"]),
        (["keys:admin", "jobs:read"], ["read"]),
        (["admin"], ["organization:admin"]),
        (["keys:admin", "read", "write"], ["admin"]),
    ],
)
def test_no_key_gives_more_than_it_has(service: Service, mine: list[str], asked: list[str]) -> None:
    service.new_project(project_id := f"prj_{next(numbers):026}")
    with service.client(service.new_key(mine, project_id)) as client:
        refused = client.post("/v1/keys", json={"name": "x", "scopes": asked})
        assert client.post("/v1/keys", json={"name": "x", "scopes": mine}).status_code == 201

    assert_problem(refused, 403, "forbidden-scope", "does not have")


def test_a_weak_key_cannot_take_back_a_strong_one(service: Service, client: httpx2.Client) -> None:
    strong = client.get("/v1/me").json()
    with service.client(service.new_key(["keys:admin"], strong["project_id"])) as weak:
        assert_problem(weak.delete(f"/v1/keys/{strong['key_id']}"), 403, "forbidden-scope")

    assert client.get("/v1/me").status_code == 200


def test_the_last_key_that_manages_the_service_cannot_be_taken_back(any_service: Service) -> None:
    """Whoever tries, and however it is put; once there is another that lives, it can."""
    with any_service.client() as operator:
        mine = operator.get("/v1/me").json()["key_id"]
        live = {key["id"] for key in operator.get("/v1/keys").json()["keys"] if key["revoked_at"] is None}
        any_service.new_key(["admin"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
        for other in live - {mine}:
            operator.delete(f"/v1/keys/{other}")

        for path in (f"/v1/keys/{mine}", f"/v1/projects/prj_default/keys/{mine}"):
            assert_problem(operator.delete(path), 409, "state-conflict", "Make another one first")

        with any_service.client(any_service.new_key(["admin"])) as second:
            assert second.delete(f"/v1/keys/{mine}").status_code == 204
            assert second.get("/v1/me").status_code == 200


def test_an_organisation_keeps_a_key_that_manages_it(any_service: Service) -> None:
    with any_service.client(any_service.new_key(["admin"])) as operator:
        made = operator.post("/v1/organizations", json={"name": "acme"}).json()
    with any_service.client(made["admin_key"]["key"]) as admin:
        weak = admin.post("/v1/keys", json={"name": "weak", "scopes": ["admin"]}).json()
        refused = admin.delete(f"/v1/keys/{made['admin_key']['id']}")
        assert_problem(refused, 409, "state-conflict", "'admin' can manage the organisation")
        project = f"/v1/projects/{made['project']['id']}"
        assert_problem(admin.delete(project), 409, "state-conflict", "'admin' can manage the organisation")
        assert admin.delete(f"/v1/keys/{weak['id']}").status_code == 204
        admin.post("/v1/keys", json={"name": "other", "scopes": ["organization:admin"]})
        assert admin.delete(f"/v1/keys/{made['admin_key']['id']}").status_code == 204


def test_the_last_use_of_a_key_is_written_once_a_minute(service: Service, client: httpx2.Client) -> None:
    key_id = client.get("/v1/me").json()["key_id"]
    clock = itertools.count(0.0, 31.0)
    uses = KeyUses(lambda: next(clock))
    due = []
    for _ in range(5):
        uses.note(key_id)
        due.append(uses.take_due())

    service.database.do(lambda session: note_uses(session, due[0]))

    assert [len(found) for found in due] == [1, 0, 1, 0, 1]
    (shown,) = client.get("/v1/keys").json()["keys"]
    assert shown["last_used_at"] >= shown["created_at"]
    assert key_id in service.services.key_uses.take_due()


def test_what_shows_all_projects_is_the_operators_alone(service: Service, client: httpx2.Client) -> None:
    """The client is the admin of a project of its own."""
    assert_problem(client.get("/metrics"), 403, "forbidden-scope", "operator")

    with service.client() as operator:
        assert operator.get("/metrics").status_code == 200


def test_the_secret_of_the_hashes_is_not_printed_with_the_services(service: Service) -> None:
    assert repr(service.services.pepper) not in repr(service.services)


def test_a_new_key_is_shown_once(service: Service, client: httpx2.Client) -> None:
    response = client.post("/v1/keys", json={"name": "ci", "scopes": ["read"]})

    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    key = response.json()["key"]
    assert key not in client.get("/v1/keys").text
    with service.client(key) as guest:
        assert guest.get("/v1/me").json()["scopes"] == ["read"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "expires_at": "2120-01-01T00:00:00"}, "/expires_at"),
        ({"name": "a\nb"}, "/name"),
        ({}, "/name"),
    ],
)
def test_a_key_that_cannot_be_made_is_told_why(client: httpx2.Client, body: dict[str, object], pointer: str) -> None:
    problem = assert_problem(client.post("/v1/keys", json=body), 422, "validation-failed")

    assert problem["errors"][0]["pointer"] == pointer


def test_keys_of_an_installation_without_organisations_go_on_working(any_service_before: Settings) -> None:
    """Its one project and its keys land in the default organisation, with their scopes."""
    settings = any_service_before
    key = new_key()
    row = {"public_id": parse(key), "key_hash": hash_key(key, load_pepper(settings))}
    row |= {"pepper_id": pepper_id(load_pepper(settings)), "scopes": '["read", "write", "admin"]'}
    database = open_database(settings)
    with database.transaction() as session:
        session.execute(text("INSERT INTO projects VALUES ('prj_default', 'default', '2026-01-01 00:00:00')"))
        columns = "id, project_id, name, public_id, key_hash, pepper_id, scopes, created_at"
        values = "'key_old', 'prj_default', 'old', :public_id, :key_hash, :pepper_id, :scopes, '2026-01-01 00:00:00'"
        session.execute(text(f"INSERT INTO api_keys ({columns}) VALUES ({values})"), row)
    database.close()

    upgrade(settings)

    with running_service(settings) as service, service.client(key) as client:
        me = client.get("/v1/me").json()
        assert (me["organization_id"], me["project_id"], me["key_name"]) == ("org_default", "prj_default", "old")
        assert client.get("/metrics").status_code == 200
        assert client.post("/v1/projects", json={"name": "second"}).status_code == 201
        assert len(client.get("/v1/keys").json()["keys"]) == 1


@pytest.fixture(params=["sqlite", "postgres"])
def any_service_before(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of a database as it was before organisations."""
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    more = {"database_url": postgres.create_database(), "key_pepper": "a test's"} if postgres else {}
    settings = make_settings(tmp_path, **more)
    database, config = open_database(settings), Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    database.close()
    return settings
