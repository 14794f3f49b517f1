"""Checks a signed manifest and files against it, offline: a DSSE envelope with an Ed25519 signature.

The public key must come from elsewhere than the manifest: who can change the one could change the other.
https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from client.errors import NotGenuine, UsageError
from client.packing import packed_model

PAYLOAD_TYPE = "application/vnd.secateur.manifest+json"
FORMAT = "secateur-manifest-1"
KEY_BYTES = 32


@dataclass(frozen=True)
class Match:
    """A file, and what the manifest knows it as; `sha256` is of the archive where it was sent with its weights."""

    path: Path
    role: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Verified:
    """A manifest whose signature is right, who signed it, and the files that it vouches for."""

    manifest: dict[str, Any]
    key_id: str
    files: tuple[Match, ...]


def verify_manifest(envelope: bytes, public_keys: Mapping[str, bytes], files: Iterable[Path] = ()) -> Verified:
    """Check the signature by any of the keys, then every file. Raises NotGenuine, UsageError."""
    payload, signatures = _opened(envelope)
    key_id = _signer(payload, signatures, public_keys)
    manifest = _object(payload, "manifest")
    if manifest.get("format") != FORMAT:
        raise _refused(f"The manifest has the format {manifest.get('format')!r}, not {FORMAT}.", "Update this program.")
    return Verified(manifest, key_id, tuple(_match(path, manifest) for path in files))


def read_public_keys(text: str) -> dict[str, bytes]:
    """Read keys by their ids: what `GET /v1/signing-keys` answered, or one key in base64. Raises UsageError."""
    try:
        found = json.loads(text)
    except ValueError:
        found = {"signing_keys": [{"public_key": text.strip()}]}
    try:
        texts = [str(entry["public_key"]) for entry in found["signing_keys"]]
        keys = [base64.b64decode(entry, validate=True) for entry in texts]
    except (KeyError, TypeError, ValueError) as error:
        raise _no_key("This is no public key, nor a list of them.") from error
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise _no_key(f"A public key has {KEY_BYTES} bytes.")
    return {key_id_of(key): key for key in keys}


def key_id_of(public_key: bytes) -> str:
    """Return the id of a key, which follows from its bytes alone."""
    return f"ed25519-{hashlib.sha256(public_key).hexdigest()[:32]}"


def _opened(envelope: bytes) -> tuple[bytes, Sequence[Any]]:
    found = _object(envelope, "file")
    if found.get("payloadType") != PAYLOAD_TYPE:
        raise _refused("The file is no manifest of Secateur.", "Give the file that `secateur manifest` wrote.")
    try:
        payload = base64.b64decode(str(found["payload"]), validate=True)
        signatures = list(found["signatures"])
    except (KeyError, TypeError, ValueError) as error:
        raise _refused("The envelope of the manifest is damaged.", "Fetch it again: secateur manifest.") from error
    return payload, signatures


def _signer(payload: bytes, signatures: Sequence[Any], public_keys: Mapping[str, bytes]) -> str:
    """Return the id of a key of ours that has signed exactly this payload."""
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    for signature in signatures:
        try:
            made = base64.b64decode(str(signature["sig"]), validate=True)
        except (KeyError, TypeError, ValueError):
            continue
        for key_id, key in public_keys.items():  # the id that the envelope names is a hint, and not believed
            if _is_signed(Ed25519PublicKey.from_public_bytes(key), made, signed):
                return key_id
    raise _refused(
        "No signature of the manifest was made by the given key.",
        "Someone has changed it, or another service has signed it. Compare the key with the service's own.",
    )


def _is_signed(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _match(path: Path, manifest: Mapping[str, Any]) -> Match:
    """Find the file in the manifest by its sha256; its name must not say that it is another one of them."""
    known = [*manifest.get("inputs", ()), *manifest.get("outputs", ())]
    compared = []
    for content in _contents(path):
        found = [entry for entry in known if (entry.get("sha256"), entry.get("size_bytes")) == content[1:]]
        if found:
            chosen = _of_that_name(content.name, found, known, path)
            return Match(path, str(chosen["role"]), str(chosen["name"]), content.sha256)
        compared.append(content)
    raise _unknown(path, compared, known)


class _Content(NamedTuple):
    """What a file is compared by, and what it would be called in a manifest."""

    name: str
    sha256: str
    size_bytes: int


def _contents(path: Path) -> Iterator[_Content]:
    """Yield the file itself and then, where its weights lie beside it, the archive that an upload makes of both."""
    yield _content(path)
    with packed_model(path) as archive:
        if archive != path:
            yield _content(archive)


def _content(path: Path) -> _Content:
    with path.open("rb") as file:
        return _Content(path.name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _of_that_name(name: str, found: Sequence[Any], known: Sequence[Any], path: Path) -> Mapping[str, Any]:
    """Return the entry of this content, by preference the one of this name. Raises where the name is another's."""
    claimed = [entry for entry in known if _base(entry) == name]
    chosen: Mapping[str, Any] = next((entry for entry in found if entry in claimed), found[0])
    if claimed and chosen not in claimed:
        raise _refused(f"The file has the content of {chosen['name']}, not of {name}.", "Rename it.", path)
    return chosen


def _unknown(path: Path, compared: Sequence[_Content], known: Sequence[Mapping[str, Any]]) -> NotGenuine:
    """Say what was compared with what: with weights beside the file, both ways in which it can have been sent."""
    itself, packed = compared[0], compared[1:]
    also = "".join(
        f", nor with that of the archive {one.name} which an upload makes of {path.name} and {path.name}.data "
        f"(sha256 {one.sha256})"
        for one in packed
    )
    named = ", ".join(sorted({str(entry.get("name")) for entry in known}))
    changed = "The file, its weights or their names were" if packed else "The file was"
    return _refused(
        f"The manifest knows no file with this content (sha256 {itself.sha256}){also}. It knows {named}.",
        f"{changed} changed, or it belongs to another job. Download it again.",
        path,
    )


def _base(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name")).rpartition("/")[2]


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _refused(f"The {what} is not JSON.", "Give the file that `secateur manifest` wrote.") from error
    if not isinstance(found, dict):
        raise _refused(f"The {what} is not a JSON object.", "Give the file that `secateur manifest` wrote.")
    return found


def _refused(what: str, what_to_do: str, path: Path | None = None) -> NotGenuine:
    return NotGenuine(what, where=None if path is None else str(path), what_to_do=what_to_do)


def _no_key(what: str) -> UsageError:
    return UsageError(what, what_to_do="Give what `secateur signing-keys` wrote when you trusted the server.")
