"""Secrets and signatures of webhooks, as Standard Webhooks has them: `whsec_…`, and `v1,` HMAC-SHA256.

A secret is made from the pepper and a salt whenever it is needed. What a stolen database holds signs nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"


def new_salt() -> str:
    return secrets.token_hex(16)


def secret_of(pepper: bytes, webhook_id: str, salt: str) -> bytes:
    """Return the 32 bytes that sign what this webhook is sent; another salt or another webhook has others."""
    return hmac.new(pepper, f"webhook secret {webhook_id} {salt}".encode(), hashlib.sha256).digest()


def shown(secret: bytes) -> str:
    """Return the secret as its owner gets to see it, once."""
    return PREFIX + base64.b64encode(secret).decode()


def signed_headers(secrets_: Iterable[bytes], message_id: str, at: datetime, payload: bytes) -> dict[str, str]:
    """Return the three headers of a message. While a secret is replaced, the old one signs beside the new one."""
    timestamp = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), timestamp.encode(), payload))
    signatures = (base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()) for secret in secrets_)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature.decode()}" for signature in signatures),
    }
