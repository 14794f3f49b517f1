"""A receiver hears of a job, and can tell that it hears it from the service."""

from __future__ import annotations

import time

from client import verify_webhook
from tests.end_to_end.words import User
from tests.sender.receiver import receiving

PATIENCE_SECONDS = 60


def test_a_receiver_hears_of_a_job_that_was_cancelled(user: User) -> None:
    with receiving() as receiver:
        hook = user.client.webhooks.create(receiver.url, events=["job.cancelled"])
        job = user.submit()
        user.client.cancel(job.id)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not receiver.received and time.monotonic() < deadline:
            time.sleep(0.05)

    assert hook.secret is not None
    (request,) = receiver.received
    message = verify_webhook(request.headers, request.body, hook.secret)
    assert (message["type"], message["data"]["job_id"]) == ("job.cancelled", job.id)
    assert message["data"]["state"] == user.client.job(job.id).state == "cancelled"
    (delivery,) = user.client.webhooks.deliveries(hook.id)
    assert delivery.job_id == job.id
    user.client.webhooks.delete(hook.id)
