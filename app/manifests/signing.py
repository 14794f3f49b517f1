"""The key that manifests are signed with, and the envelope that carries a signature: DSSE, as in-toto has it.

The private key is made from the pepper, so that all machines of a service have the same one and there is no other
secret to keep. Its public half is written down at the first use; those of earlier peppers stay for older manifests.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from core.db import insert_if_absent, utc_now
from core.tables import SigningKey

PAYLOAD_TYPE: Final = "application/vnd.secateur.manifest+json"
PURPOSE: Final = b"secateur manifest signing key, version 1"


class Signer:
    """One service's key."""

    def __init__(self, pepper: bytes) -> None:
        seed = hmac.new(pepper, PURPOSE, hashlib.sha256).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.public_key = base64.b64encode(public).decode()
        self.key_id = f"ed25519-{hashlib.sha256(public).hexdigest()[:32]}"

    def envelope(self, payload: bytes) -> dict[str, Any]:
        """Wrap and sign a payload, to the byte."""
        signature = self._private.sign(pre_authentication(PAYLOAD_TYPE, payload))
        return {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
        }

    def publish(self, session: Session) -> None:
        """Write the public half down, once."""
        now = utc_now(session)
        insert_if_absent(session, SigningKey, id=self.key_id, public_key=self.public_key, created_at=now)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: type and payload with their lengths, so that neither can be moved into the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
