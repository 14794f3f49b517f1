"""The audit log over HTTP and at the prompt: every change by a key is in it, with who, what, from where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.audit import __main__ as command
from core.audit import Deed, append
from core.db import Database, open_database
from core.keys import load_pepper
from core.settings import Settings
from core.tables import DEFAULT_ORGANIZATION_ID
from tests.app.running import Service, assert_problem, make_job, make_model, put_file


def entries_of(client: httpx2.Client, **asked: Any) -> list[dict[str, Any]]:
    """Read the log to its beginning, newest first."""
    entries: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = client.get("/v1/audit", params={"page_size": 3, **asked, **token}).json()
        entries += page["entries"]
        if page["next_page_token"] is None:
            return entries
        token = {"page_token": page["next_page_token"]}


def test_every_change_is_noted_with_who_what_and_from_where(service: Service, client: httpx2.Client) -> None:
    me = client.get("/v1/me").json()
    model_id = make_model(client)
    job = make_job(client, model_id)
    cancelled = client.post(f"/v1/jobs/{job['id']}/cancel")
    made = client.post("/v1/keys", json={"name": "ci"}).json()
    client.get("/v1/jobs")

    found = entries_of(client)

    assert [(entry["action"], entry["target"]) for entry in reversed(found)][1:] == [
        ("POST /v1/models", f"/v1/models/{model_id}"),
        ("POST /v1/jobs", f"/v1/jobs/{job['id']}"),
        ("POST /v1/jobs/{job_id}/cancel", f"/v1/jobs/{job['id']}"),
        ("POST /v1/keys", f"/v1/keys/{made['id']}"),
    ]
    assert {(entry["actor"], entry["project_id"]) for entry in found} == {(me["key_id"], me["project_id"])}
    assert {entry["address"] for entry in found} == {"127.0.0.1"}
    assert found[1]["request_id"] == cancelled.headers["Request-Id"]
    assert made["key"] not in json.dumps(found)


def test_an_answer_that_is_replayed_is_noted_once(client: httpx2.Client) -> None:
    model_id = make_model(client)
    for _ in range(3):
        again = {"Idempotency-Key": "same"}
        assert client.post("/v1/jobs", json={"model_id": model_id}, headers=again).status_code == 202

    assert [entry["action"] for entry in entries_of(client)].count("POST /v1/jobs") == 1


def test_what_is_refused_is_not_noted(client: httpx2.Client) -> None:
    assert client.post("/v1/jobs", json={"model_id": "mod_0"}).status_code == 404

    assert entries_of(client) == []


def test_a_project_reads_its_own_entries_and_an_organisation_all(service: Service, client: httpx2.Client) -> None:
    mine = client.get("/v1/me").json()["project_id"]
    put_file(client)

    with service.client() as operator:
        make_model(operator)
        everywhere = entries_of(operator)

    assert {entry["project_id"] for entry in entries_of(client)} == {mine}
    assert {entry["project_id"] for entry in everywhere} >= {mine, "prj_default"}
    assert_problem(client.get("/v1/audit", params={"organization_id": "org_other"}), 404, "not-found")


@pytest.mark.parametrize("token", ["x", "WyJhdWRfYSIsIngiXQ"])
def test_a_token_of_no_page_is_refused(client: httpx2.Client, token: str) -> None:
    assert_problem(client.get("/v1/audit", params={"page_token": token}), 400, "invalid-page-token")


@pytest.fixture
def a_log(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database with entries of one key, on either server, which the command will look at."""
    database, pepper = open_database(settings), load_pepper(settings)
    for number in range(6):
        deed = Deed("key_x", "x", "POST /v1/jobs", f"/v1/jobs/{number}", address="127.0.0.1")
        database.do(lambda session, deed=deed: append(session, DEFAULT_ORGANIZATION_ID, deed, pepper))
    monkeypatch.setattr(command, "settings", lambda: settings)
    yield database
    database.close()


def tamper(database: Database, *statements: str) -> None:
    """Do what somebody with the database's password can do: take the guard away first."""
    with database.transaction() as session:
        if database.is_sqlite:
            for verb in ("update", "delete"):
                session.execute(text(f"DROP TRIGGER IF EXISTS audit_never_changes_by_{verb}"))
        else:
            session.execute(text("DROP TRIGGER IF EXISTS audit_never_changes ON audit"))
        for statement in statements:
            session.execute(text(statement))


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([], "whole, 6 entries"),
        (["UPDATE audit SET actor = 'key_other' WHERE seq = 3"], "Entry 3 was changed"),
        (["DELETE FROM audit WHERE seq = 2"], "Entries 2 to 2 are missing"),
        (["DELETE FROM audit WHERE seq > 3"], "Entries 4 to 6 are missing"),
        (
            [
                "UPDATE audit SET seq = 99 WHERE seq = 2",
                "UPDATE audit SET seq = 2 WHERE seq = 4",
                "UPDATE audit SET seq = 4 WHERE seq = 99",
            ],
            "Entry 2 was changed",
        ),
        (
            [
                "DELETE FROM audit WHERE seq > 3",
                "UPDATE organizations SET audit_seq = 3, audit_hash = (SELECT hash FROM audit WHERE seq = 3)",
            ],
            "The seal of the end is not ours",
        ),
    ],
)
def test_the_command_finds_what_was_done_to_the_rows(
    a_log: Database, capsys: pytest.CaptureFixture[str], statements: list[str], said: str
) -> None:
    tamper(a_log, *statements)

    status = command.main([])

    assert said in capsys.readouterr().out
    assert status == (1 if statements else 0)


@pytest.mark.usefixtures("a_log")
def test_a_kept_end_tells_of_a_log_that_was_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    """An older copy of the whole database is whole in itself."""
    command.main([])
    known = capsys.readouterr().out.rpartition(" ")[2].strip()

    assert command.main(["--known", known]) == 0
    assert command.main(["--known", known.replace(":6:", ":9:")]) == 1
    assert "Entry 9 is not there" in capsys.readouterr().out


def test_pages_that_were_kept_are_checked_without_a_database(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, asked, pages = tmp_path / "audit.jsonl", {"page_size": "3"}, []
    with service.client() as client:
        while "page_token" not in asked or asked["page_token"]:
            pages.append(client.get("/v1/audit", params=asked).text)
            asked["page_token"] = json.loads(pages[-1])["next_page_token"] or ""

    kept.write_text("\n".join(pages))
    assert command.main(["--file", str(kept)]) == 0
    kept.write_text("\n".join(pages).replace("127.0.0.1", "127.0.0.2", 1))
    changed = command.main(["--file", str(kept)])
    kept.write_text("\n".join([pages[0], *pages[2:]]))
    cut = command.main(["--file", str(kept)])

    assert len(pages) > 2
    assert (changed, cut) == (1, 1)
    assert "was changed" in (said := capsys.readouterr().out)
    assert "are missing" in said
