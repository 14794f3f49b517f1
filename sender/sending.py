"""Looks for messages that are due, and delivers them side by side; any number of senders may run on one database."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.db import Database, utc_now
from core.ids import new_id
from core.keys import pepper_id
from core.queries import webhook_due_statement
from core.settings import Settings
from core.tracing.opening import NO_TRACING, Tracing
from core.webhooks import deliveries
from core.webhooks.deliveries import SECRET_LOST, Ruling
from core.webhooks.signing import secret_of, signed_headers
from core.webhooks.words import Answer, Errand
from sender.accounts import errand_told, tell_answer, trace_headers
from sender.post import Post, trusted

AT_ONCE: Final = 32
LEASE_MARGIN_SECONDS: Final = 45.0
"""Beyond a try's own limit: a database that is slow to take down the answer must not make it be sent twice."""

log = structlog.get_logger("sender")


class Sender:
    """Delivers until it is stopped. `now` is the clock that all due times and leases are measured by."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        pepper: bytes,
        *,
        now: Callable[[Session], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._tracing = tracing
        self._database, self._pepper, self._now, self._chance = database, pepper, now, chance
        self._sender_id = new_id("snd")
        self._poll_seconds = settings.poll_seconds
        self._lease_seconds = settings.webhook_timeout_seconds + LEASE_MARGIN_SECONDS
        self._disable_after = timedelta(days=settings.webhook_disable_days)
        tls = trusted(settings.webhook_ca_file)
        self._posts: set[asyncio.Task[Answer]] = set()
        self._post = Post(settings.webhook_private_networks, tls, settings.webhook_timeout_seconds)

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event | None = None) -> None:
        """Deliver until `stop` is set, then wait for what is under way; each try's own limit makes that short.

        With `hurry` not even that is waited for: what has no answer yet is given back, for another sender to send.
        """
        stopped = asyncio.create_task(stop.wait())
        under_way: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            errand = await self._next() if len(under_way) < AT_ONCE else None
            if errand is not None:
                under_way.add(task := asyncio.create_task(self._deliver(errand)))
                task.add_done_callback(under_way.discard)
                continue
            pause = self._poll_seconds * random.uniform(0.75, 1.25)
            await asyncio.wait({stopped, *under_way}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        await self._end(under_way, hurry or asyncio.Event())

    async def _end(self, under_way: set[asyncio.Task[None]], hurry: asyncio.Event) -> None:
        hurried = asyncio.create_task(hurry.wait())
        while under_way and not hurry.is_set():
            await asyncio.wait({hurried, *under_way}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        for post in self._posts:
            post.cancel()
        await asyncio.gather(*under_way)

    async def send_due(self) -> int:
        """Deliver, side by side, all that is due now; return how many tries that were."""
        tasks = []
        while (errand := await self._claim()) is not None:
            tasks.append(asyncio.create_task(self._deliver(errand)))
        await asyncio.gather(*tasks)
        return len(tasks)

    async def _next(self) -> Errand | None:
        """Look without a lock, and roughly, by this machine's clock; claim only where something is due."""
        try:
            if not await self._database.fetch_all(webhook_due_statement(now=datetime.now(UTC))):
                return None
            return await self._claim()
        except SQLAlchemyError as error:
            log.warning("sender.database_away", reason=type(error).__name__)
            return None

    async def _claim(self) -> Errand | None:
        def work(session: Session) -> Errand | None:
            now = self._now(session)
            return deliveries.claim(session, sender_id=self._sender_id, lease_seconds=self._lease_seconds, now=now)

        return await self._database.write(work)

    async def _deliver(self, errand: Errand) -> None:
        """Send and write down what came of it; what cannot be written down is sent again when the lease is over."""
        try:
            with errand_told(self._tracing, errand):
                if errand.pepper_id == pepper_id(self._pepper):
                    began = time.monotonic()
                    answer = await self._sent(errand)
                    tell_answer(answer, time.monotonic() - began)
                    await self._take_down(errand, answer)
                else:
                    await self._give_up_unsigned(errand)
        except SQLAlchemyError as error:
            log.warning("sender.unsettled", delivery_id=errand.delivery_id, reason=type(error).__name__)
        except Exception:
            log.exception("sender.unsettled", delivery_id=errand.delivery_id)

    async def _sent(self, errand: Errand) -> Answer | None:
        """Return what came back; None where this sender could not wait for it."""
        signing = [secret_of(self._pepper, errand.webhook_id, salt) for salt in errand.salts]
        headers = signed_headers(signing, errand.message_id, errand.at, errand.payload) | trace_headers()
        post = asyncio.create_task(self._post(errand.url, headers, errand.payload))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        await asyncio.wait({post})
        if post.cancelled():
            return None
        try:
            return post.result()
        except Exception as error:  # a message that breaks the sender must be given up in the end like any other
            log.exception("sender.failed", webhook_id=errand.webhook_id, delivery_id=errand.delivery_id)
            return Answer(error=f"The sender itself failed: {type(error).__name__}.")

    async def _take_down(self, errand: Errand, answer: Answer | None) -> None:
        if answer is not None:
            await self._settle(errand, answer)
            return
        await self._database.write(lambda session: deliveries.give_back(session, errand, self._now(session)))

    async def _settle(self, errand: Errand, answer: Answer) -> None:
        ruling = Ruling(self._disable_after, self._chance())

        def work(session: Session) -> str | None:
            return deliveries.settle(session, errand, answer, ruling, self._now(session))

        reason = await self._database.write(work)
        if reason is not None:
            log.warning("webhook.disabled", webhook_id=errand.webhook_id, reason=reason)

    async def _give_up_unsigned(self, errand: Errand) -> None:
        """Switch off a webhook whose secret went with the pepper: no receiver would believe another one."""

        def work(session: Session) -> bool:
            return deliveries.disable(session, errand.webhook_id, SECRET_LOST, self._now(session))

        if await self._database.write(work):
            log.warning("webhook.disabled", webhook_id=errand.webhook_id, reason=SECRET_LOST)
        await self._settle(
            errand, Answer(error="The secret was lost with the old pepper. Rotate the webhook's secret.")
        )
