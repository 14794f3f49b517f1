"""Claims, leases and what is made of an answer, by a clock that the test holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from core.db import Database
from core.queue import SilentBell
from core.settings import Settings
from core.sweep import Sweeper
from core.tables import Project, Webhook, WebhookDelivery
from core.webhooks import deliveries
from core.webhooks.deliveries import AT_ONCE_EACH, AT_ONCE_PROJECT, SENDER_LOST, SWITCHED_OFF
from core.webhooks.outbox import write_test
from core.webhooks.schedule import RETRY_SECONDS
from core.webhooks.words import Answer, Errand, WebhookInactive, WebhookNotFound
from tests.core.samples import PROJECT_ID, running_claim
from tests.core.webhooks.samples import (
    RULING,
    Clock,
    add_webhook,
    attempts_of,
    change_webhook,
    claim_delivery,
    deliveries_of,
    read_webhook,
)

WELCOME, BROKEN = Answer(status=204, body=""), Answer(status=500, body="oh no")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delivery(database: Database) -> WebhookDelivery:
    """One message that is due, and no other."""
    add_webhook(database, events=["job.running"])
    running_claim(database)
    return deliveries_of(database)[0]


def claim(database: Database, clock: Clock, sender_id: str = "snd_1") -> Errand | None:
    return database.do(lambda session: deliveries.claim(session, sender_id=sender_id, lease_seconds=60, now=clock.now))


def settle(database: Database, clock: Clock, errand: Errand | None, answer: Answer) -> str | None:
    assert errand is not None
    return database.do(lambda session: deliveries.settle(session, errand, answer, RULING, clock.now))


def latest(database: Database, delivery: WebhookDelivery) -> WebhookDelivery:
    return next(row for row in deliveries_of(database) if row.id == delivery.id)


def test_a_message_is_claimed_once_and_ends_when_it_is_taken(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    errand = claim(database, clock)
    assert claim(database, clock, "snd_2") is None

    settle(database, clock, errand, WELCOME)

    after = latest(database, delivery)
    assert (after.state, after.status, after.error, after.attempt) == ("delivered", 204, None, 1)
    assert after.finished_at == clock.now
    clock.pass_seconds(10 * 86400)
    assert claim(database, clock) is None


def test_the_waits_between_tries_are_those_of_the_schedule_and_then_it_is_given_up(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    for wait in RETRY_SECONDS:
        settle(database, clock, claim(database, clock), BROKEN)
        clock.pass_seconds(wait - 0.01)
        assert claim(database, clock) is None, wait
        clock.pass_seconds(0.02)
    settle(database, clock, claim(database, clock), BROKEN)

    after = latest(database, delivery)
    assert (after.state, after.attempt, after.next_attempt_at) == ("failed", 10, None)
    assert [(line.status, line.response) for line in attempts_of(database, delivery.id)] == [(500, "oh no")] * 10


def test_a_lost_senders_message_is_sent_by_another_and_its_late_word_changes_nothing(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    lost = claim(database, clock)
    clock.pass_seconds(59)
    assert claim(database, clock, "snd_2") is None
    clock.pass_seconds(2)
    second = claim(database, clock, "snd_2")
    assert second is not None
    assert lost is not None
    assert (second.attempt, second.message_id) == (2, lost.message_id)
    assert attempts_of(database, delivery.id)[0].error == SENDER_LOST

    settle(database, clock, lost, BROKEN)

    assert (latest(database, delivery).state, latest(database, delivery).lease_owner) == ("pending", "snd_2")
    settle(database, clock, second, WELCOME)
    assert latest(database, delivery).state == "delivered"


def test_many_claims_at_once_never_get_the_same_message(database: Database) -> None:
    hooks = [add_webhook(database, events=["job.running"]) for _ in range(AT_ONCE_PROJECT // AT_ONCE_EACH)]
    for _ in range(AT_ONCE_EACH):
        running_claim(database)

    def claim_some(number: int) -> list[str]:
        found = []
        for _ in range(8):
            errand = claim_delivery(database, f"snd_{number}")
            if errand is not None:
                found.append(errand.delivery_id)
        return found

    with ThreadPoolExecutor(4) as pool:
        claimed = [delivery_id for found in pool.map(claim_some, range(4)) for delivery_id in found]

    assert len(claimed) == len(set(claimed))
    while (errand := claim_delivery(database)) is not None:
        claimed.append(errand.delivery_id)
    assert sorted(claimed) == sorted(row.id for hook in hooks for row in deliveries_of(database, hook))


def test_a_slow_receiver_holds_up_nobody_but_itself(database: Database, clock: Clock) -> None:
    slow = add_webhook(database, events=["job.running"])
    for _ in range(AT_ONCE_EACH + 2):
        running_claim(database)
    quick = add_webhook(database, events=["job.running"])
    running_claim(database)

    errands = [claim(database, clock) for _ in range(AT_ONCE_EACH + 2)]

    assert [errand.webhook_id for errand in errands if errand] == [slow] * AT_ONCE_EACH + [quick]
    settle(database, clock, errands[0], WELCOME)
    following = claim(database, clock)
    assert following is not None
    assert following.webhook_id == slow


def test_a_project_of_slow_receivers_holds_up_no_other(database: Database, clock: Clock) -> None:
    slow = {add_webhook(database, events=["job.running"]) for _ in range(AT_ONCE_PROJECT // AT_ONCE_EACH + 1)}
    for _ in range(AT_ONCE_EACH):
        running_claim(database)
    with database.transaction() as session:
        session.add(Project(id="prj_other", name="other", created_at=clock.now))
    quick = add_webhook(database, project_id="prj_other")
    with database.transaction() as session:
        write_test(session, session.get_one(Webhook, quick), clock.now)

    claimed = [errand.webhook_id for errand in iter(lambda: claim(database, clock), None)]

    assert len(claimed) == AT_ONCE_PROJECT + 1
    assert set(claimed[:-1]) <= slow
    assert claimed[-1] == quick


def test_a_receiver_that_says_gone_is_left_alone(database: Database, delivery: WebhookDelivery, clock: Clock) -> None:
    other = add_webhook(database)
    running_claim(database)
    waiting = [row for row in deliveries_of(database, delivery.webhook_id) if row.id != delivery.id]

    assert settle(database, clock, claim(database, clock), Answer(status=410, body="")) == "gone"

    hook = read_webhook(database, delivery.webhook_id)
    assert (hook.active, hook.disabled_reason, hook.disabled_at) == (False, "gone", clock.now)
    assert latest(database, delivery).state == "failed"
    assert [(latest(database, row).state, latest(database, row).error) for row in waiting] == [("failed", SWITCHED_OFF)]
    assert [row.type for row in deliveries_of(database, other)][-1] == "webhook.disabled"


def test_a_webhook_that_fails_for_too_long_is_switched_off_and_one_success_starts_the_count_again(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    start = clock.now

    def fail_one(days_later: float) -> str | None:
        running_claim(database)
        clock.now = start + timedelta(days=days_later)
        reason = settle(database, clock, claim(database, clock), BROKEN)
        database.do(lambda session: deliveries.give_up_waiting(session, delivery.webhook_id, clock.now))
        return reason

    assert fail_one(0) is None
    assert fail_one(4.9) is None
    running_claim(database)
    settle(database, clock, claim(database, clock), WELCOME)
    assert read_webhook(database, delivery.webhook_id).failing_since is None
    assert fail_one(6) is None
    assert fail_one(10.9) is None
    assert fail_one(11.1) == "failing"
    assert not read_webhook(database, delivery.webhook_id).active


def test_a_redelivery_has_the_same_id_and_all_its_tries_before_it(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    first = claim(database, clock)
    settle(database, clock, first, WELCOME)

    database.do(lambda s: deliveries.redeliver(s, PROJECT_ID, delivery.webhook_id, delivery.id, clock.now))
    again = claim(database, clock)

    assert first is not None
    assert again is not None
    assert (again.message_id, again.payload, again.attempt) == (first.message_id, first.payload, 2)
    settle(database, clock, again, BROKEN)
    assert latest(database, delivery).next_attempt_at == clock.now + timedelta(seconds=RETRY_SECONDS[0])


def test_a_message_under_way_is_not_sent_beside_itself(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    errand = claim(database, clock)

    database.do(lambda s: deliveries.redeliver(s, PROJECT_ID, delivery.webhook_id, delivery.id, clock.now))

    assert claim(database, clock, "snd_2") is None
    settle(database, clock, errand, WELCOME)
    assert latest(database, delivery).state == "delivered"


def test_nothing_is_redelivered_for_others_or_to_a_webhook_that_is_off(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    other = add_webhook(database)
    hook = delivery.webhook_id
    for project_id, webhook_id, delivery_id in (
        ("prj_other", hook, delivery.id),
        (PROJECT_ID, other, delivery.id),
        (PROJECT_ID, hook, "dlv_none"),
    ):
        with pytest.raises(WebhookNotFound), database.transaction() as session:
            deliveries.redeliver(session, project_id, webhook_id, delivery_id, clock.now)

    assert database.do(lambda session: deliveries.disable(session, hook, "gone", clock.now))
    assert not database.do(lambda session: deliveries.disable(session, hook, "gone", clock.now))
    with pytest.raises(WebhookInactive), database.transaction() as session:
        deliveries.redeliver(session, PROJECT_ID, hook, delivery.id, clock.now)


def test_the_sweep_ends_what_was_written_while_its_webhook_was_switched_off(
    database: Database, settings: Settings, delivery: WebhookDelivery
) -> None:
    """A job's change of state waits for nobody, so its message can be written a moment after the others' end."""
    change_webhook(database, delivery.webhook_id, active=False)

    Sweeper(database, SilentBell(), settings).sweep()

    after = latest(database, delivery)
    assert (after.state, after.error, after.next_attempt_at) == ("failed", SWITCHED_OFF, None)


def test_what_is_stranded_is_a_lost_senders_and_never_one_that_is_under_way_or_of_a_webhook_that_is_on(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    def states() -> set[str]:
        database.do(lambda session: deliveries.give_up_stranded(session, clock.now))
        return {row.state for row in deliveries_of(database)}

    while_on = states()
    claim(database, clock)
    change_webhook(database, delivery.webhook_id, active=False)
    under_way = states()
    clock.pass_seconds(61)

    assert (while_on, under_way, states()) == ({"pending"}, {"pending"}, {"failed"})


def test_the_sweep_forgets_the_old_log(
    database: Database, settings: Settings, delivery: WebhookDelivery, clock: Clock
) -> None:
    errand = claim(database, clock)
    clock.pass_seconds(-(settings.retention_days + 1) * 86400)
    settle(database, clock, errand, WELCOME)

    Sweeper(database, SilentBell(), settings).forget_the_old()

    assert deliveries_of(database) == []


def test_webhooks_are_deleted_while_their_messages_are_settled(database: Database, clock: Clock) -> None:
    """In every order of the two, and without a deadlock: each locks the webhook first."""
    hooks = [add_webhook(database, events=["job.running"]) for _ in range(8)]
    running_claim(database)
    errands = [claim(database, clock) for _ in hooks]

    with ThreadPoolExecutor(4) as pool:
        settled = [pool.submit(settle, database, clock, errand, Answer(status=410)) for errand in errands]
        removed = [
            pool.submit(database.do, partial(deliveries.remove, project_id=PROJECT_ID, webhook_id=hook))
            for hook in hooks
        ]
        assert {future.result(60) for future in settled} <= {"gone", None}
        assert [future.result(60) for future in removed] == [None] * 8

    assert deliveries_of(database) == []


def test_the_log_is_forgotten_when_it_is_old_and_what_waits_is_kept(
    database: Database, delivery: WebhookDelivery, clock: Clock
) -> None:
    settle(database, clock, claim(database, clock), WELCOME)
    add_webhook(database, events=["job.running"])
    running_claim(database)
    month = timedelta(days=30)

    assert database.do(lambda session: deliveries.forget(session, month, clock.now + month)) == 0
    clock.pass_seconds(1)
    assert database.do(lambda session: deliveries.forget(session, month, clock.now + month)) == 1

    assert delivery.id not in {row.id for row in deliveries_of(database)}
    assert attempts_of(database, delivery.id) == []
    assert {row.state for row in deliveries_of(database)} == {"pending"}
