"""What a sender counts: each try by its result, messages that ended, webhooks that were switched off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from core.db import Database
from core.metrics import table
from core.metrics.words import Metric
from sender.sending import Sender
from tests.core.samples import running_claim
from tests.core.webhooks.samples import Clock, add_webhook, deliveries_of
from tests.sender.receiver import Receiver, Reply, receiving
from tests.servers import free_port


def value_of(metric: Metric, label: str, suffix: str = "") -> float:
    return REGISTRY.get_sample_value(metric.name + suffix, {metric.labels[0]: label}) or 0.0


def tries() -> dict[str, float]:
    return {result: value_of(table.TRY_SECONDS, result, "_count") for result in ("taken", "refused", "unanswered")}


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize(("reply", "result"), [(Reply(204), "taken"), (Reply(302), "refused"), (Reply(503), "refused")])
def test_a_try_is_counted_by_what_came_back(
    database: Database, new_sender: Callable[..., Sender], reply: Reply, result: str
) -> None:
    before, delivered = tries(), value_of(table.MESSAGES_ENDED, "delivered")
    with receiving(Receiver([reply])) as receiver:
        add_webhook(database, receiver.url, events=["job.running"])
        running_claim(database)
        asyncio.run(new_sender().send_due())

    assert difference(before, tries()) == {result: 1}
    assert value_of(table.MESSAGES_ENDED, "delivered") == delivered + (result == "taken")


def test_silence_is_counted_and_in_the_end_the_message_is_given_up(
    database: Database, new_sender: Callable[..., Sender], clock: Clock
) -> None:
    before, failed = tries(), value_of(table.MESSAGES_ENDED, "failed")
    add_webhook(database, f"http://127.0.0.1:{free_port()}/", events=["job.running"])
    running_claim(database)
    sender = new_sender(webhook_disable_days=365)
    for _ in range(11):
        asyncio.run(sender.send_due())
        clock.pass_seconds(3 * 24 * 3600)

    assert deliveries_of(database)[0].state == "failed"
    assert difference(before, tries()) == {"unanswered": 10}
    assert value_of(table.MESSAGES_ENDED, "failed") == failed + 1


def test_a_webhook_that_is_gone_is_counted_as_switched_off(
    database: Database, new_sender: Callable[..., Sender]
) -> None:
    before = value_of(table.WEBHOOKS_DISABLED, "gone")
    with receiving(Receiver([Reply(410)])) as receiver:
        add_webhook(database, receiver.url, events=["job.running"])
        running_claim(database)
        asyncio.run(new_sender().send_due())

    assert value_of(table.WEBHOOKS_DISABLED, "gone") == before + 1
