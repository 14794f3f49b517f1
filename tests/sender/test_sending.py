"""From a job's change of state to the receiver, over real sockets and by a clock that the test holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from core import jobs
from core.db import Database, open_database
from core.keys import pepper_id
from core.settings import Settings
from core.tables import WebhookDelivery
from core.webhooks import deliveries
from core.webhooks.schedule import RETRY_SECONDS
from core.webhooks.signing import new_salt
from sender.sending import Sender
from tests.core.samples import PROJECT_ID, running_claim
from tests.core.webhooks.samples import (
    PEPPER,
    Clock,
    add_webhook,
    attempts_of,
    change_webhook,
    deliveries_of,
    read_webhook,
    secret_of_webhook,
)
from tests.sender.receiver import Receiver, Reply, is_signed, receiving

NewSender = Callable[..., Sender]


def send(sender: Sender) -> int:
    return asyncio.run(sender.send_due())


def the_delivery(database: Database) -> WebhookDelivery:
    (delivery,) = deliveries_of(database)
    return delivery


def test_each_change_is_delivered_once_and_signed(database: Database, new_sender: NewSender) -> None:
    with receiving() as receiver:
        hook = add_webhook(database, receiver.url)
        claim = running_claim(database)
        with database.transaction() as session:
            jobs.finish(session, claim, outcome="no_gain", report={}, delivered=[])
        sender = new_sender()

        assert send(sender) == 3
        assert send(sender) == 0

    messages = [json.loads(request.body) for request in receiver.received]
    assert sorted(message["type"] for message in messages) == ["job.queued", "job.running", "job.succeeded"]
    assert {message["data"]["job_id"] for message in messages} == {claim.job_id}
    assert len(set(receiver.ids)) == 3
    secret = secret_of_webhook(database, hook)
    for request in receiver.received:
        assert is_signed(request.headers, request.body, secret)
        assert not is_signed(request.headers, request.body + b" ", secret)
        assert not is_signed({**request.headers, "webhook-timestamp": "1"}, request.body, secret)
    assert {row.state for row in deliveries_of(database)} == {"delivered"}


def test_a_receiver_that_fails_is_tried_again_with_the_same_id_after_the_waits_of_the_schedule(
    database: Database, new_sender: NewSender, clock: Clock
) -> None:
    with receiving(Receiver([Reply(500), Reply(302), Reply(404), Reply(200)])) as receiver:
        add_webhook(database, receiver.url, events=["job.running"])
        running_claim(database)
        sender = new_sender()
        for wait in RETRY_SECONDS[:3]:
            assert send(sender) == 1
            clock.pass_seconds(wait - 0.01)
            assert send(sender) == 0
            clock.pass_seconds(0.02)
        assert send(sender) == 1

    assert len(receiver.received) == 4
    assert len(set(receiver.ids)) == 1
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert stamps == sorted(set(stamps))
    delivery = the_delivery(database)
    assert (delivery.state, delivery.status, delivery.error) == ("delivered", 200, None)
    assert [line.status for line in attempts_of(database, delivery.id)] == [500, 302, 404, 200]


def test_a_receiver_that_asks_for_time_gets_it(database: Database, new_sender: NewSender, clock: Clock) -> None:
    with receiving(Receiver([Reply(429, {"Retry-After": "100"}), Reply()])) as receiver:
        add_webhook(database, receiver.url, events=["job.running"])
        running_claim(database)
        send(new_sender())

    assert the_delivery(database).next_attempt_at == clock.now + timedelta(seconds=100)


def test_a_redelivery_arrives_with_the_same_id(database: Database, new_sender: NewSender, clock: Clock) -> None:
    with receiving() as receiver:
        hook = add_webhook(database, receiver.url, events=["job.running"])
        running_claim(database)
        send(new_sender())

        delivery_id = the_delivery(database).id
        database.do(lambda session: deliveries.redeliver(session, PROJECT_ID, hook, delivery_id, clock.now))
        send(new_sender())

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_while_a_secret_is_replaced_both_sign_and_then_the_new_one_alone(
    database: Database, new_sender: NewSender, clock: Clock
) -> None:
    with receiving() as receiver:
        hook = add_webhook(database, receiver.url, events=["job.running"])
        old, salt = secret_of_webhook(database, hook), read_webhook(database, hook).salt
        until = clock.now + timedelta(hours=24)
        change_webhook(database, hook, salt=new_salt(), previous_salt=salt, previous_expires_at=until)
        new = secret_of_webhook(database, hook)
        running_claim(database)
        send(new_sender())
        clock.pass_seconds(24 * 3600)
        running_claim(database)
        send(new_sender())

    during, after = receiver.received
    assert is_signed(during.headers, during.body, old)
    assert is_signed(during.headers, during.body, new)
    assert not is_signed(after.headers, after.body, old)
    assert is_signed(after.headers, after.body, new)


def test_a_private_address_is_refused_when_it_is_connected_to(database: Database, new_sender: NewSender) -> None:
    """The row may be older than the setting, and the name may lead elsewhere now."""
    with receiving() as receiver:
        add_webhook(database, receiver.url.replace("http:", "https:"), events=["job.running"])
        running_claim(database)

        send(new_sender(webhook_private_networks=[]))

    delivery = the_delivery(database)
    assert receiver.received == []
    assert (delivery.state, delivery.status) == ("pending", None)
    assert delivery.error is not None
    assert "public internet" in delivery.error


def test_a_secret_that_went_with_the_pepper_switches_the_webhook_off_and_nothing_is_sent(
    database: Database, new_sender: NewSender
) -> None:
    with receiving() as receiver:
        hook = add_webhook(database, receiver.url, events=["job.running"], pepper_id=pepper_id(b"another"))
        running_claim(database)

        send(new_sender())

    assert receiver.received == []
    assert read_webhook(database, hook).disabled_reason == "secret-lost"
    assert the_delivery(database).state == "failed"


def test_a_message_that_breaks_the_sender_is_tried_and_given_up_like_any_other(
    database: Database, new_sender: NewSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: object) -> None:
        raise RuntimeError("a bug with canary-3")

    add_webhook(database, events=["job.running"])
    running_claim(database)
    sender = new_sender()
    monkeypatch.setattr(sender, "_post", broken)

    assert send(sender) == 1

    delivery = the_delivery(database)
    assert (delivery.tries, delivery.lease_owner, delivery.error) == (
        1,
        None,
        "The sender itself failed: RuntimeError.",
    )


def test_two_senders_never_send_the_same_message_twice(local: Settings, database: Database) -> None:
    """Each in a thread, with an event loop and connections of its own, over a receiver that takes its time."""
    with receiving(Receiver([Reply(wait_seconds=0.02)])) as receiver:
        for _ in range(4):
            add_webhook(database, receiver.url)
        for _ in range(5):
            running_claim(database)

        def work(_number: int) -> int:
            own = open_database(local)
            try:
                return asyncio.run(Sender(own, local, PEPPER).send_due())
            finally:
                own.close()

        with ThreadPoolExecutor(2) as pool:
            while sum(pool.map(work, range(2))):
                pass

    pairs = [(row.webhook_id, row.message_id) for row in deliveries_of(database)]
    assert len(receiver.ids) == len(pairs) == 40
    assert sorted(receiver.ids) == sorted(message_id for _, message_id in pairs)
    assert {row.attempt for row in deliveries_of(database)} == {1}


def test_a_running_sender_finds_what_is_written_and_ends_what_is_under_way(local: Settings, database: Database) -> None:
    async def run(receiver: Receiver) -> None:
        stop, own = asyncio.Event(), open_database(local)
        running = asyncio.create_task(Sender(own, local, PEPPER).run(stop))
        await asyncio.to_thread(running_claim, database)
        async with asyncio.timeout(30):
            while not receiver.received:
                await asyncio.sleep(0.01)
        stop.set()
        await running
        await own.aclose()

    with receiving(Receiver([Reply(wait_seconds=0.5)])) as receiver:
        add_webhook(database, receiver.url, events=["job.running"])
        asyncio.run(run(receiver))

    assert the_delivery(database).state == "delivered"
    assert len(receiver.received) == 1


def test_a_hurried_sender_gives_back_what_it_waits_for(local: Settings, database: Database) -> None:
    """At once, and as if the message had not been tried: another sender's is the first try that counts."""

    async def run(receiver: Receiver) -> None:
        stop, hurry, own = asyncio.Event(), asyncio.Event(), open_database(local)
        running = asyncio.create_task(Sender(own, local, PEPPER).run(stop, hurry))
        async with asyncio.timeout(30):
            while not receiver.received:
                await asyncio.sleep(0.01)
            stop.set()
            hurry.set()
            await running
        await own.aclose()

    with receiving(Receiver([Reply(wait_seconds=3), Reply()])) as receiver:
        add_webhook(database, receiver.url, events=["job.running"])
        running_claim(database)
        asyncio.run(run(receiver))
        given_back = the_delivery(database)
        assert (given_back.state, given_back.lease_owner, given_back.tries) == ("pending", None, 0)

        assert asyncio.run(Sender(database, local, PEPPER).send_due()) == 1

    assert (the_delivery(database).state, the_delivery(database).tries) == ("delivered", 1)
    assert len(set(receiver.ids)) == 1
