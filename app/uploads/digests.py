"""The sha256 that a client declares, in a body, in `X-Content-Sha256` or in `Repr-Digest` (RFC 9530)."""

from __future__ import annotations

import base64
import binascii
import re

from starlette.datastructures import Headers

from app.errors import Problem

HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
STRUCTURED_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):")


def declared_sha256(headers: Headers) -> str | None:
    """Return the declared digest in hex, None when none of a kind we check was sent."""
    plain = headers.get("X-Content-Sha256")
    if plain is not None:
        return _checked(plain.strip().lower(), "X-Content-Sha256", "64 hexadecimal digits")
    found = STRUCTURED_SHA256.search(headers.get("Repr-Digest", ""))
    return None if found is None else _checked(_hex(found.group(1)), "Repr-Digest", "sha-256=:<base64 of 32 bytes>:")


def check_sha256(actual: str, declared: str | None) -> None:
    """Refuse bytes that are not those that were declared."""
    if declared is not None and declared != actual:
        message = f"The bytes that arrived have the sha256 {actual}, not the declared {declared}. Send the file again."
        raise Problem("digest-mismatch", message, declared_sha256=declared, actual_sha256=actual)


def repr_digest(sha256: str) -> str:
    """Write a digest as the value of `Repr-Digest`."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _hex(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except binascii.Error:
        return ""


def _checked(value: str, header: str, form: str) -> str:
    if not HEX_SHA256.fullmatch(value):
        errors = [{"header": header, "code": "bad-digest", "detail": f"Expected {form}."}]
        raise Problem("validation-failed", f"{header} is not a sha256: expected {form}.", errors=errors)
    return value
