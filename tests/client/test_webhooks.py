"""The SDK's and the command's webhooks against a running service, with a sender and a receiver."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from client import Client, Refused, ServerUnreachable, verify_webhook
from client.cli import main
from sender.sending import Sender
from tests.app.conftest import quiet_log  # noqa: F401  # a fixture: the service's log is not what a command prints
from tests.app.running import Service, running_service
from tests.conftest import make_settings
from tests.sender.receiver import receiving

URL = "https://ci.example.com/hook"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    """The embedded default, with the loopback interface allowed."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(sqlite_template, folder / "secateur.db")
    settings = make_settings(folder, webhook_private_networks=["127.0.0.0/8", "::1/128"], webhooks_per_project=1000)
    with running_service(settings) as running:
        yield running


@pytest.fixture
def sdk(real: Service) -> Iterator[Client]:
    with Client(real.url, real.key, patience_seconds=5) as client:
        yield client


def send(real: Service) -> None:
    asyncio.run(Sender(real.database, real.services.settings, real.services.pepper).send_due())


def test_what_was_sent_is_verified_with_the_secret_that_was_shown(real: Service, sdk: Client) -> None:
    with receiving() as receiver:
        made = sdk.webhooks.create(receiver.url, events=["job.succeeded"], description="ours")
        tested = sdk.webhooks.test(made.id)
        rotated = sdk.webhooks.rotate(made.id, overlap_seconds=600)
        send(real)

    assert made.secret is not None
    assert rotated.secret is not None
    assert made.secret not in repr(made)
    (request,) = receiver.received
    for secret in (made.secret, rotated.secret):
        message = verify_webhook(request.headers, request.body, secret)
        assert (message["type"], message["data"]["webhook_id"]) == ("webhook.test", made.id)
    delivery = sdk.webhooks.delivery(made.id, tested.id)
    assert (delivery.state, delivery.status, delivery.attempt) == ("delivered", 200, 1)
    assert delivery.raw["attempts"][0]["response"] == "thank you"
    assert sdk.webhooks.redeliver(made.id, tested.id).state == "pending"


def test_webhooks_are_listed_changed_and_deleted(sdk: Client) -> None:
    made = [sdk.webhooks.create(URL).id for _ in range(3)]

    listed = [webhook.id for webhook in sdk.webhooks.list(page_size=2)]
    changed = sdk.webhooks.update(made[0], events=["job.failed"], active=False)
    sdk.webhooks.delete(made[1])

    assert listed[:3] == made[::-1]
    assert (changed.events, changed.active, changed.secret) == (("job.failed",), False, None)
    assert sdk.webhooks.get(made[0]) == changed
    with pytest.raises(Refused, match=made[1]):
        sdk.webhooks.get(made[1])
    sdk.webhooks.test(made[2])
    sdk.webhooks.test(made[2])
    assert len(list(sdk.webhooks.deliveries(made[2], page_size=1))) == 2


def test_a_webhook_whose_answer_is_lost_is_not_made_a_second_time() -> None:
    asked: list[str] = []

    def cut(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        raise httpx2.ReadError("cut off")

    client = Client("http://127.0.0.1:1", "sct_test", transport=httpx2.MockTransport(cut))
    with client, pytest.raises(ServerUnreachable, match="cut off"):
        client.webhooks.create(URL)

    assert asked == ["/v1/webhooks"]


def test_the_commands_show_the_secret_once_and_what_became_of_each_message(
    real: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_SERVER", real.url)
    monkeypatch.setenv("SECATEUR_KEY", real.key)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["webhooks", *arguments])

    with receiving() as receiver:
        created = run("create", receiver.url, "--event", "job.succeeded", "--event", "job.failed")
        webhook_id = created.stdout.split()[0]
        sent = json.loads(run("test", webhook_id, "--json").stdout)
        send(real)

    assert "whsec_" in created.stdout
    listed = run("list").stdout
    assert webhook_id in listed
    assert "whsec_" not in listed
    assert "delivered" in run("deliveries", webhook_id).stdout
    assert "pending" in run("redeliver", webhook_id, sent["id"]).stdout
    assert "whsec_" in run("rotate", webhook_id, "--overlap-seconds", "60").stdout
    assert "is off" in run("switch", webhook_id, "--off").stdout
    assert run("test", webhook_id).exit_code == 4
    assert "is on" in run("switch", webhook_id, "--on").stdout
    assert json.loads(run("deliveries", webhook_id, "--json", "--limit", "1").stdout)[0]["id"] == sent["id"]
    assert run("delete", webhook_id).exit_code == 0
    refused = run("create", "https://10.0.0.1/")
    assert refused.exit_code == 4
    assert "SECATEUR_WEBHOOK_PRIVATE_NETWORKS" in refused.stderr
