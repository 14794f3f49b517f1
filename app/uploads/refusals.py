"""Why an upload is refused; what the draft has a problem type for carries the draft's members, too."""

from __future__ import annotations

from typing import Any

from app.errors import Problem
from core.db import Record


def empty() -> Problem:
    """Say that a file without bytes is no use here."""
    return Problem("upload-empty", "The body has no bytes. Check the path: curl sends an empty body for an empty file.")


def too_large(limit_bytes: int) -> Problem:
    """Say what the limit is and who can move it."""
    detail = f"The file is over the limit of {limit_bytes} bytes (GET /v1/limits). Send a smaller file."
    return Problem(
        "upload-too-large", detail, headers={"Upload-Limit": f"max-size={limit_bytes}"}, limit_bytes=limit_bytes
    )


def no_room(left_bytes: int) -> Problem:
    """Say how much the project may still store."""
    detail = f"The project may store {left_bytes} bytes more. Delete models, datasets or jobs, or ask for more room."
    return Problem("quota-exceeded", detail, quota="stored_bytes", left_bytes=left_bytes)


def bad_header(name: str, form: str) -> Problem:
    detail = f"{name}: expected {form}."
    return Problem("validation-failed", detail, errors=[{"header": name, "code": "bad-header", "detail": detail}])


def other_offset(expected: int, provided: int) -> Problem:
    """Tell the right offset, in the draft's words and in ours."""
    both: dict[str, Any] = {"expected-offset": expected, "provided-offset": provided}
    return Problem(
        "upload-offset-mismatch",
        f"The upload stands at {expected}, not at {provided}. Go on from byte {expected}.",
        headers={"Upload-Offset": str(expected), "Upload-Complete": "?0"},
        expected_offset=expected,
        provided_offset=provided,
        **both,
    )


def other_length(declared: int, found: int) -> Problem:
    """Say that the bytes do not add up to what was declared."""
    detail = f"The upload was declared with {declared} bytes; now it would be {found}."
    advice = "Send the missing part." if found < declared else "Make a new upload."
    return Problem("upload-length-mismatch", f"{detail} {advice}", declared_bytes=declared, found_bytes=found)


def completed(upload: Record) -> Problem:
    """Say that nothing can be added to a whole file."""
    detail = f"Upload {upload['id']} is whole, with {upload['size_bytes']} bytes. GET it for its sha256."
    standing = {"Upload-Complete": "?1", "Upload-Offset": str(upload["offset_bytes"])}
    return Problem("upload-completed", detail, headers=standing)


def failed(upload: Record) -> Problem:
    """Say why an upload takes no more."""
    reason = str(upload["error"].get("detail", ""))
    return Problem("upload-failed", f"{reason} This upload takes no more: make a new one.", reason=upload["error"])


def lost(size_bytes: int) -> Problem:
    """Say that bytes that were acknowledged are gone."""
    return Problem("upload-failed", f"Of what had arrived only {size_bytes} bytes are left: make a new upload.")
