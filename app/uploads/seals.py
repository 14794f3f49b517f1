"""The digest of one request's bytes: `Content-Digest` (RFC 9530) or `Upload-Checksum` (tus). Wrong ones are dropped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Final

from app.errors import Problem

CONTENT_DIGEST: Final = {"sha-256": "sha256", "sha-512": "sha512"}
UPLOAD_CHECKSUM: Final = {"sha1": "sha1", "sha256": "sha256", "md5": "md5"}
_MEMBER = re.compile(r"(?:^|,)\s*([a-z0-9-]+)=:([A-Za-z0-9+/=]*):")


class Seal:
    """Counts the bytes of one request and compares at the end. Against faults on the way, not against malice."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._counted = hashlib.new(algorithm, usedforsecurity=False)
        self._expected = expected

    def update(self, block: bytes | bytearray) -> None:
        self._counted.update(block)

    def check(self) -> None:
        """Refuse bytes that are not those that were announced."""
        if self._counted.digest() != self._expected:
            found = base64.b64encode(self._counted.digest()).decode()
            raise Problem(
                "checksum-mismatch",
                f"The bytes of this request have the {self._counted.name} {found}, not the one announced. "
                "None of them was kept; send them again.",
            )


def content_seal(headers: Mapping[str, str]) -> Seal | None:
    """Return the seal of a `Content-Digest`; None where there is none of a kind that we check."""
    for name, encoded in _MEMBER.findall(headers.get("Content-Digest", "")):
        if name in CONTENT_DIGEST:
            return Seal(CONTENT_DIGEST[name], _bytes_of(encoded, "Content-Digest"))
    return None


def tus_seal(headers: Mapping[str, str]) -> Seal | None:
    """Return the seal of an `Upload-Checksum: sha1 <base64>`; tus wants an unknown algorithm to be refused."""
    value = headers.get("Upload-Checksum")
    if value is None:
        return None
    name, _, encoded = value.strip().partition(" ")
    if name not in UPLOAD_CHECKSUM:
        raise Problem("bad-request", f"Upload-Checksum: '{name[:40]}' is not one of {', '.join(UPLOAD_CHECKSUM)}.")
    return Seal(UPLOAD_CHECKSUM[name], _bytes_of(encoded, "Upload-Checksum"))


def _bytes_of(encoded: str, header: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:  # no base64, or not even ASCII
        raise Problem("bad-request", f"{header}: the digest is not base64.") from error
