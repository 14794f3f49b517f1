"""What a webhook's receiver is sent, for the OpenAPI document's own section of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header

from app.webhooks.schemas import DisabledMessage, JobMessage, TestMessage
from core.webhooks.words import EVENTS, TEST_EVENT, WebhookEvent

outgoing = APIRouter(tags=["webhooks"])

Text = Annotated[str, Header()]
TAKEN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Any 2xx within 15 s, if the operator has not set another time: taken. "
        "Anything else, a redirect too, is tried again for three days."
    },
    410: {"description": "No more, please: the webhook is switched off."},
}


def _describe(name: str, description: str, message: type[Any]) -> None:
    def receive(body: Any, webhook_id: Text, webhook_timestamp: Text, webhook_signature: Text) -> None:
        """Only described here: it is the receiver's to write."""

    receive.__annotations__["body"] = message
    route: Callable[..., Any] = outgoing.post(name, description=description, responses=TAKEN, operation_id=name)
    route(receive)


for _event, _description in EVENTS.items():
    _describe(_event, _description, DisabledMessage if _event == WebhookEvent.WEBHOOK_DISABLED else JobMessage)
_describe(TEST_EVENT, "Sent when it is asked for, and once.", TestMessage)
