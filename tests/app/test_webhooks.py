"""Webhooks over HTTP: made, shown, changed, rotated, tested, deleted; what each was sent; and whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.main import create_app
from core.settings import Settings
from sender.sending import Sender
from tests.app.running import Service, assert_problem, finish_job, make_job, running_service, start_job
from tests.conftest import make_settings
from tests.sender.receiver import Receiver, Reply, is_signed, receiving

URL = "https://ci.example.com/hook"
UNKNOWN = "_0123456789abcdefghjkmnpqrs"


def make_webhook(client: httpx2.Client, url: str = URL, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/webhooks", json={"url": url, **more})
    assert response.status_code == 201, response.text
    return dict(response.json())


def deliveries_of(client: httpx2.Client, webhook_id: str) -> list[dict[str, Any]]:
    return list(client.get(f"/v1/webhooks/{webhook_id}/deliveries").json()["deliveries"])


def send(service: Service) -> None:
    asyncio.run(Sender(service.database, service.services.settings, service.services.pepper).send_due())


@pytest.fixture
def local_service(settings: Settings) -> Iterator[Service]:
    """The service on either database, with the loopback interface allowed."""
    changed = Settings.model_validate({**settings.model_dump(), "webhook_private_networks": ["127.0.0.0/8", "::1/128"]})
    with running_service(changed) as running:
        yield running


def test_a_job_is_told_of_from_the_api_to_the_receiver(local_service: Service) -> None:
    with receiving() as receiver, local_service.client() as client:
        made = make_webhook(client, receiver.url, events=["job.succeeded"])
        job = make_job(client)
        finish_job(local_service, start_job(local_service, job["id"]))

        send(local_service)

        (request,) = receiver.received
        assert is_signed(request.headers, request.body, made["secret"])
        (shown,) = deliveries_of(client, made["id"])
        assert (shown["state"], shown["status"], shown["job_id"]) == ("delivered", 200, job["id"])
        assert shown["message_id"] == request.headers["webhook-id"]
        detail = client.get(f"/v1/webhooks/{made['id']}/deliveries/{shown['id']}").json()
        assert detail["payload"]["data"]["outcome"] == "target_met"
        (attempt,) = detail["attempts"]
        assert (attempt["attempt"], attempt["status"], attempt["response"]) == (1, 200, "thank you")
        assert attempt["ended_at"] >= attempt["started_at"]


def test_a_test_is_sent_once_and_a_redelivery_again(local_service: Service) -> None:
    with receiving(Receiver([Reply(500, body=b"not yet"), Reply()])) as receiver, local_service.client() as client:
        made = make_webhook(client, receiver.url, events=["job.failed"])

        asked = client.post(f"/v1/webhooks/{made['id']}/test")
        send(local_service)
        failed = client.get(asked.headers["Location"]).json()
        again = client.post(asked.headers["Location"] + "/redeliver")
        send(local_service)
        delivered = client.get(asked.headers["Location"]).json()

        assert asked.status_code == again.status_code == 202
        assert (asked.json()["type"], asked.json()["state"]) == ("webhook.test", "pending")
        assert (failed["state"], failed["status"]) == ("failed", 500)
        assert again.json()["state"] == "pending"
        assert delivered["state"] == "delivered"
        assert [line["response"] for line in delivered["attempts"]] == ["not yet", "thank you"]
        assert len(set(receiver.ids)) == 1
        assert client.get(f"/v1/webhooks/{made['id']}").json()["failing_since"] is None


def test_the_secret_is_shown_once_and_is_in_no_row(client: httpx2.Client, service: Service) -> None:
    made = client.post("/v1/webhooks", json={"url": URL, "description": "ours"})
    secret = made.json()["secret"]
    key = secret.removeprefix("whsec_")

    shown = client.get(made.headers["Location"])
    listed = client.get("/v1/webhooks")
    patched = client.patch(made.headers["Location"], json={"description": "theirs"})

    assert made.headers["Cache-Control"] == "no-store"
    assert secret.startswith("whsec_")
    for answer in (shown, listed, patched):
        assert answer.status_code == 200
        assert key not in answer.text
    with service.database.transaction() as session:
        dump = "\n".join(session.connection().connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    assert made.json()["id"] in dump
    assert key not in dump


def test_a_rotation_shows_a_new_secret_and_how_long_the_old_one_signs(client: httpx2.Client) -> None:
    made = make_webhook(client)
    path = f"/v1/webhooks/{made['id']}"

    plain = client.post(f"{path}/rotate").json()
    at_once = client.post(f"{path}/rotate", json={"overlap_seconds": 0}).json()
    too_long = client.post(f"{path}/rotate", json={"overlap_seconds": 10**9})

    assert len({made["secret"], plain["secret"], at_once["secret"]}) == 3
    assert plain["previous_secret_expires_at"] > plain["updated_at"]
    assert at_once["previous_secret_expires_at"] is None
    assert assert_problem(too_long, 422, "validation-failed")["errors"][0]["pointer"] == "/overlap_seconds"


def test_a_rotation_signs_with_both_secrets(local_service: Service) -> None:
    with receiving() as receiver, local_service.client() as client:
        made = make_webhook(client, receiver.url)
        rotated = client.post(f"/v1/webhooks/{made['id']}/rotate", json={"overlap_seconds": 600}).json()
        client.post(f"/v1/webhooks/{made['id']}/test")

        send(local_service)

        (request,) = receiver.received
        assert is_signed(request.headers, request.body, made["secret"])
        assert is_signed(request.headers, request.body, rotated["secret"])


def test_only_what_is_named_is_changed(client: httpx2.Client) -> None:
    made = make_webhook(client, events=["job.failed", "job.failed", "job.expired"], description="ours")
    path = f"/v1/webhooks/{made['id']}"

    changed = client.patch(path, json={"events": []}).json()
    unchanged = client.patch(path, json={}).json()

    assert made["events"] == ["job.failed", "job.expired"]
    assert changed["events"] == []
    assert (changed["url"], changed["description"], changed["active"]) == (URL, "ours", True)
    assert {**unchanged, "updated_at": changed["updated_at"]} == changed


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "http://ci.example.com/"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://user:pass@example.com/"}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": None}, "/url"),
        ({"events": ["job.exploded"]}, "/events/0"),
        ({"active": None}, "/active"),
        ({"description": "a\nb"}, "/description"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made_and_when_it_is_changed(
    client: httpx2.Client, change: dict[str, Any], pointer: str
) -> None:
    made = make_webhook(client)

    for answer in (
        client.post("/v1/webhooks", json={"url": URL, **change}),
        client.patch(f"/v1/webhooks/{made['id']}", json=change),
    ):
        assert assert_problem(answer, 422, "validation-failed")["errors"][0]["pointer"] == pointer


def test_what_is_switched_off_is_sent_nothing_and_can_be_switched_on_again(local_service: Service) -> None:
    with receiving() as receiver, local_service.client() as client:
        made = make_webhook(client, receiver.url)
        path = f"/v1/webhooks/{made['id']}"
        waiting = client.post(f"{path}/test").json()

        off = client.patch(path, json={"active": False}).json()
        job = make_job(client)
        start_job(local_service, job["id"])
        send(local_service)

        assert (off["active"], off["disabled_reason"]) == (False, None)
        assert [(row["id"], row["state"]) for row in deliveries_of(client, made["id"])] == [(waiting["id"], "failed")]
        assert receiver.received == []
        for post in (f"{path}/test", f"{path}/deliveries/{waiting['id']}/redeliver"):
            assert_problem(client.post(post), 409, "state-conflict", "active: true")
        assert client.patch(path, json={"active": True}).json()["active"]
        assert client.post(f"{path}/test").status_code == 202


def test_a_receiver_that_says_gone_is_switched_off_and_says_why(local_service: Service) -> None:
    with receiving(Receiver([Reply(410)])) as receiver, local_service.client() as client:
        made = make_webhook(client, receiver.url, events=["job.queued"])
        start_job(local_service, make_job(client)["id"])

        send(local_service)

        shown = client.get(f"/v1/webhooks/{made['id']}").json()
        assert (shown["active"], shown["disabled_reason"]) == (False, "gone")
        on = client.patch(f"/v1/webhooks/{made['id']}", json={"active": True}).json()
        assert (on["disabled_at"], on["disabled_reason"], on["failing_since"]) == (None, None, None)


def test_lists_come_in_pages_newest_first(client: httpx2.Client) -> None:
    made = [make_webhook(client)["id"] for _ in range(3)]
    tests = [client.post(f"/v1/webhooks/{made[0]}/test").json()["id"] for _ in range(3)]

    for path, name, ids in (
        ("/v1/webhooks", "webhooks", made),
        (f"/v1/webhooks/{made[0]}/deliveries", "deliveries", tests),
    ):
        first = client.get(path, params={"page_size": 2}).json()
        second = client.get(path, params={"page_size": 2, "page_token": first["next_page_token"]}).json()

        assert [row["id"] for row in first[name] + second[name]] == ids[::-1]
        assert second["next_page_token"] is None
        assert_problem(client.get(path, params={"page_token": "x"}), 400, "invalid-page-token")
    other = client.get(f"/v1/webhooks/{made[0]}/deliveries", params={"page_size": 1}).json()["next_page_token"]
    elsewhere = client.get(f"/v1/webhooks/{made[1]}/deliveries", params={"page_token": other})
    assert_problem(elsewhere, 400, "invalid-page-token", "other filters")


def test_a_test_that_is_asked_for_twice_under_one_key_is_sent_once(client: httpx2.Client) -> None:
    made = make_webhook(client)

    asked = [
        client.post(f"/v1/webhooks/{made['id']}/test", headers={"Idempotency-Key": "k"}).json()["id"] for _ in range(2)
    ]

    assert asked[0] == asked[1]
    assert len(deliveries_of(client, made["id"])) == 1


def test_one_webhook_too_many_is_refused(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "secateur.db").write_bytes(sqlite_template.read_bytes())
    with running_service(make_settings(tmp_path, webhooks_per_project=2)) as service, service.client() as client:
        made = [make_webhook(client) for _ in range(2)]

        refused = client.post("/v1/webhooks", json={"url": URL})

        assert assert_problem(refused, 403, "quota-exceeded", "2 is the limit")["limit"] == 2
        assert client.delete(f"/v1/webhooks/{made[0]['id']}").status_code == 204
        make_webhook(client)


def test_a_deleted_webhook_is_gone_with_its_log(client: httpx2.Client) -> None:
    made = make_webhook(client)
    path = f"/v1/webhooks/{made['id']}"
    location = client.post(f"{path}/test").headers["Location"]

    assert client.delete(path).status_code == 204

    for gone in (path, f"{path}/deliveries", location):
        assert_problem(client.get(gone), 404, "not-found", made["id"])
    assert_problem(client.delete(path), 404, "not-found")


def test_a_delivery_is_found_under_its_own_webhook_only(client: httpx2.Client) -> None:
    made, other = make_webhook(client), make_webhook(client)
    delivery = client.post(f"/v1/webhooks/{made['id']}/test").json()["id"]

    for webhook_id, delivery_id in ((other["id"], delivery), (made["id"], "dlv" + UNKNOWN)):
        path = f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}"
        assert_problem(client.get(path), 404, "not-found", "delivery")
        assert_problem(client.post(f"{path}/redeliver"), 404, "not-found", "delivery")


def test_another_projects_jobs_are_not_told_and_its_key_sees_nothing(service: Service, client: httpx2.Client) -> None:
    made = make_webhook(client)
    stranger = service.new_project("prj_webhookstranger00000000000")
    with service.client(stranger) as other:
        start_job(service, make_job(other)["id"])

        assert deliveries_of(client, made["id"]) == []
        assert other.get("/v1/webhooks").json()["webhooks"] == []
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/test"),
            ("POST", "/rotate"),
            ("GET", "/deliveries"),
        ):
            body = {} if method == "PATCH" else None
            refused = other.request(method, f"/v1/webhooks/{made['id']}{path}", json=body)
            assert_problem(refused, 404, "not-found", made["id"])


def test_a_key_that_only_reads_changes_nothing(service: Service, client: httpx2.Client) -> None:
    project_id = client.get("/v1/me").json()["project_id"]
    made = make_webhook(client)
    with service.client(service.new_key(["read"], project_id)) as reader:
        assert reader.get(f"/v1/webhooks/{made['id']}").status_code == 200

        for answer in (
            reader.post("/v1/webhooks", json={"url": URL}),
            reader.delete(f"/v1/webhooks/{made['id']}"),
            reader.post(f"/v1/webhooks/{made['id']}/rotate"),
        ):
            assert_problem(answer, 403, "forbidden-scope", "write")


def test_the_openapi_document_describes_every_message(tmp_path: Path) -> None:
    schema = create_app(make_settings(tmp_path)).openapi()

    assert {"job.succeeded", "job.failed", "webhook.disabled", "webhook.test"} <= set(schema["webhooks"])
    for name, methods in schema["webhooks"].items():
        operation = methods["post"]
        assert operation["description"], name
        assert {"200", "410"} == set(operation["responses"])
        headers = {parameter["name"] for parameter in operation["parameters"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    for name in ("WebhookRequest", "NewWebhookView", "DeliveryView", "DeliveryDetail", "JobMessage"):
        assert schema["components"]["schemas"][name]["examples"], name
