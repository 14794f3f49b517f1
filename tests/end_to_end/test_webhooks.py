"""A receiver hears of a job, and can tell that it hears it from the service."""

from __future__ import annotations

import time

from client import verify_webhook
from tests.end_to_end.words import User
from tests.sender.receiver import receiving

PATIENCE_SECONDS = 60


def test_a_receiver_hears_of_a_job_that_was_cancelled(user: User) -> None:
    """Others of the project may end at that moment, too; each delivery says whose it is."""
    with receiving() as receiver:
        hook = user.client.webhooks.create(receiver.url, events=["job.cancelled"])
        assert hook.secret is not None
        job = user.submit()
        user.client.cancel(job.id)
        deadline = time.monotonic() + PATIENCE_SECONDS
        messages = {}
        while job.id not in messages and time.monotonic() < deadline:
            time.sleep(0.05)
            told = [verify_webhook(request.headers, request.body, hook.secret) for request in receiver.received]
            messages = {message["data"]["job_id"]: message for message in told}

    assert messages[job.id]["type"] == "job.cancelled"
    assert messages[job.id]["data"]["state"] == user.client.job(job.id).state == "cancelled"
    assert job.id in {delivery.job_id for delivery in user.client.webhooks.deliveries(hook.id)}
    user.client.webhooks.delete(hook.id)
