"""For whoever receives webhooks: is this message from the service, whole, and of now? (Standard Webhooks.)"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from client.errors import NotGenuine, UsageError

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> dict[str, Any]:
    """Return the message, or raise NotGenuine. `body` is what came, to the byte; `now` is Unix time.

    A message that comes twice has the same `webhook-id`: remember the ids of those that you have acted on.
    """
    found = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = (_header(found, name) for name in ("webhook-id", "webhook-timestamp"))
    _check_time(timestamp, time.time() if now is None else now, tolerance_seconds)
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    expected = base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
    signatures = _header(found, "webhook-signature").split(" ")
    # Compared as bytes: text that is not ASCII could not be compared in constant time.
    if not any(hmac.compare_digest(f"v1,{expected}".encode(), found.encode()) for found in signatures):
        raise NotGenuine(
            "No signature fits the message.",
            where="webhook-signature",
            what_to_do="Give the body as it came, to the byte, and the webhook's newest secret.",
        )
    message: dict[str, Any] = json.loads(body)
    return message


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise NotGenuine("The message lacks a header.", where=name)
    return value


def _check_time(timestamp: str, now: float, tolerance_seconds: float) -> None:
    """Refuse what is old: it may have been listened to, and be sent again by somebody else."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16
    if not is_number or abs(now - int(timestamp)) > tolerance_seconds:
        raise NotGenuine(
            f"The message is not of now: it says {timestamp[:20]}.",
            where="webhook-timestamp",
            what_to_do=f"Check this machine's clock; {tolerance_seconds:.0f} s are allowed.",
        )


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError("This is not a webhook's secret.", what_to_do="Give the text that starts whsec_.") from error
