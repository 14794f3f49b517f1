"""What a signed manifest and the keys look like from outside."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Signature(BaseModel):
    keyid: str
    sig: str = Field(description="Ed25519, in base64.")


class ManifestView(BaseModel):
    """A DSSE envelope. `payload` is the manifest as JSON in base64, to the byte that was signed."""

    payloadType: str  # noqa: N815  # the envelope's own spelling
    payload: str
    signatures: list[Signature]


class SigningKeyView(BaseModel):
    """A public key of this service. Keep it where whoever hands you a manifest cannot change it."""

    id: str
    algorithm: str = Field(examples=["ed25519"])
    public_key: str = Field(description="32 bytes in base64.")
    created_at: datetime
    is_current: bool


class SigningKeysList(BaseModel):
    signing_keys: list[SigningKeyView]
