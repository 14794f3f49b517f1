"""The project's webhooks, as methods of `client.webhooks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from client.connection import Connection


@dataclass(frozen=True)
class Webhook:
    """Where the project is told of its jobs. `secret` is there when it was made just now, and never again."""

    id: str
    url: str
    events: tuple[str, ...]  # empty: all
    active: bool
    disabled_reason: str | None
    secret: str | None = field(repr=False)
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """One message to one webhook, and what came of it: pending, delivered or failed."""

    id: str
    webhook_id: str
    type: str
    job_id: str | None
    state: str
    status: int | None
    error: str | None
    attempt: int
    raw: dict[str, Any] = field(repr=False)


class Webhooks:
    """What the service offers at /v1/webhooks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, url: str, *, events: Sequence[str] = (), description: str = "") -> Webhook:
        """Make a webhook; without events it is told of all. Keep the secret of what comes back.

        Sent once: an answer that is lost on its way is not asked for again, for it would be another webhook's.
        """
        body = {"url": url, "events": list(events), "description": description}
        return _webhook(self._connection.post_once("/v1/webhooks", body).json())

    def list(self, *, page_size: int = 50) -> Iterator[Webhook]:
        """Yield the project's webhooks, newest first."""
        return map(_webhook, self._connection.pages("/v1/webhooks", "webhooks", {"page_size": page_size}))

    def get(self, webhook_id: str) -> Webhook:
        return _webhook(self._connection.request("GET", _path(webhook_id)).json())

    def update(self, webhook_id: str, **changes: Any) -> Webhook:
        """Change url, events, description or active; what is not named stays."""
        return _webhook(self._connection.request("PATCH", _path(webhook_id), json=changes).json())

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook with the log of its deliveries."""
        self._connection.request("DELETE", _path(webhook_id))

    def rotate(self, webhook_id: str, *, overlap_seconds: int = 24 * 3600) -> Webhook:
        """Replace the secret; for so long messages carry the signatures of both."""
        answer = self._connection.post_once(f"{_path(webhook_id)}/rotate", {"overlap_seconds": overlap_seconds})
        return _webhook(answer.json())

    def test(self, webhook_id: str) -> Delivery:
        """Have a message of type `webhook.test` sent; ask for its delivery to learn what came of it."""
        return _delivery(self._connection.post(f"{_path(webhook_id)}/test", {}).json())

    def deliveries(self, webhook_id: str, *, page_size: int = 50) -> Iterator[Delivery]:
        """Yield what a webhook was sent and is to be sent, newest first."""
        path = f"{_path(webhook_id)}/deliveries"
        return map(_delivery, self._connection.pages(path, "deliveries", {"page_size": page_size}))

    def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Return one delivery; its `raw` has the payload and every attempt."""
        return _delivery(self._connection.request("GET", _path(webhook_id, delivery_id)).json())

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Have a message sent again, under the same id."""
        return _delivery(self._connection.post(f"{_path(webhook_id, delivery_id)}/redeliver", {}).json())


def _path(webhook_id: str, delivery_id: str | None = None) -> str:
    path = f"/v1/webhooks/{quote(webhook_id, safe='')}"
    return path if delivery_id is None else f"{path}/deliveries/{quote(delivery_id, safe='')}"


def _webhook(raw: Mapping[str, Any]) -> Webhook:
    return Webhook(
        id=str(raw["id"]),
        url=str(raw["url"]),
        events=tuple(raw.get("events") or ()),
        active=bool(raw.get("active")),
        disabled_reason=raw.get("disabled_reason"),
        secret=raw.get("secret"),
        raw=dict(raw),
    )


def _delivery(raw: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=str(raw["id"]),
        webhook_id=str(raw["webhook_id"]),
        type=str(raw["type"]),
        job_id=raw.get("job_id"),
        state=str(raw["state"]),
        status=raw.get("status"),
        error=raw.get("error"),
        attempt=int(raw.get("attempt") or 0),
        raw=dict(raw),
    )
