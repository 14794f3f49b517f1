"""Every code that a request can be refused with: what is the same in each of its problems. One row a code."""

from __future__ import annotations

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """A code's status, its title, what it means and what to do; `type` only where another's specification names one."""

    status: int
    title: str
    explanation: str
    retryable: bool = False
    type: str | None = None


IANA: Final = "https://iana.org/assignments/http-problem-types#"

PROBLEMS: Final[dict[str, Kind]] = {
    "malformed-json": Kind(
        400,
        "The body is not JSON",
        "The detail names the character at which the body stops being JSON. Send one JSON value, in UTF-8.",
    ),
    "bad-request": Kind(
        400,
        "The request cannot be understood",
        "A part of the request is not in the form that its specification asks for: text that is not UTF-8, a digest "
        "that is not base64. Mend what the detail names.",
    ),
    "upload-completed": Kind(
        400,
        "The upload is whole already",
        "All bytes of this upload have arrived, and nothing can be added. Name it with POST /v1/models or "
        "POST /v1/datasets, or make a new upload.",
        type=f"{IANA}completed-upload",
    ),
    "invalid-page-token": Kind(
        400,
        "The page token is not one of ours",
        "A page token was cut or changed, or belongs to another list. Begin again without one, and take each token "
        "from next_page_token.",
    ),
    "unauthorized": Kind(
        401,
        "A valid API key is needed",
        "The request has no key, or one that this server does not know. Send Authorization: Bearer sct_…, with a key "
        "of this server's; it prints the first one at its first start.",
    ),
    "key-expired": Kind(
        401,
        "The API key is no longer valid",
        "The key was revoked or its time is over. Ask an admin of the project for another one.",
    ),
    "forbidden-scope": Kind(
        403,
        "The API key may not do this",
        "The key lacks the scope in required_scope. GET /v1/me tells what it has; use or make one that has more.",
    ),
    "quota-exceeded": Kind(
        403,
        "The project has as many as it may have",
        "A limit of the project or its organisation is reached: quota says which. Delete something or wait until jobs "
        "have ended, or ask the operator for more; GET /v1/usage shows limits and use.",
    ),
    "not-found": Kind(
        404,
        "There is no such thing here",
        "There is no such path, or the key's project has nothing with this id: what other projects have is told in "
        "the same way. Check the id and the key.",
    ),
    "method-not-allowed": Kind(
        405, "The method is not allowed here", "The path is right and the method is not. Allow names those that are."
    ),
    "request-timeout": Kind(
        408,
        "The body stopped arriving",
        "The connection ended before the body did. Send the request again; a resumable upload keeps what has arrived, "
        "and HEAD tells how much.",
        retryable=True,
    ),
    "state-conflict": Kind(
        409,
        "The state does not allow this",
        "What was asked does not go with the state that the thing is in, such as cancelling a job that has ended. "
        "Look at it again, and do what its state allows.",
    ),
    "upload-offset-mismatch": Kind(
        409,
        "The upload stands at another offset",
        "The bytes that were sent do not begin where the upload ends. Go on from expected_offset.",
        retryable=True,
        type=f"{IANA}mismatching-upload-offset",
    ),
    "upload-taken-over": Kind(
        409,
        "Another request went on with this upload",
        "Another request asked for the offset or is writing, and an upload has one writer. If it is yours, ask HEAD "
        "for the offset and go on from there.",
        retryable=True,
    ),
    "idempotency-in-progress": Kind(
        409,
        "The first request with this key is still running",
        "A request with the same Idempotency-Key has not been answered yet. Wait for as long as Retry-After says and "
        "send it again: you are given the first one's answer.",
        retryable=True,
    ),
    "direct-upload-unavailable": Kind(
        409,
        "Files cannot be put into the store from outside",
        "This service keeps files in a folder, for which no addresses can be signed. Send the bytes with PATCH, or "
        "with PUT /v1/files.",
    ),
    "upload-failed": Kind(
        410,
        "The upload has failed and takes no more",
        "What arrived was not what had been declared, was refused, or was lost: the detail says which. Make a new "
        "upload.",
    ),
    "artifact-gone": Kind(
        410,
        "The file is no longer stored",
        "The job is still known and its file's bytes are not. Run the job again with POST /v1/jobs/{id}/retry.",
    ),
    "precondition-failed": Kind(
        412,
        "The precondition does not hold",
        "If-Match names another version than there is, or Tus-Resumable another version than is spoken here. Ask "
        "again without it or with what the answer names.",
    ),
    "request-too-large": Kind(
        413,
        "The body is too large",
        "The body is over limit_bytes, which holds for all but uploads. Bring files by /v1/files or /v1/uploads.",
    ),
    "upload-too-large": Kind(
        413,
        "The file is over the limit",
        "The file is larger than limit_bytes. Send a smaller one, or ask the operator for a higher limit "
        "(SECATEUR_MAX_UPLOAD_BYTES).",
    ),
    "unsupported-media-type": Kind(
        415,
        "The media type is not understood here",
        "Content-Type names another type than this path takes. The detail and /docs say which one it is.",
    ),
    "unsupported-format": Kind(
        415,
        "The file is of a kind that is not taken here",
        "The first bytes of the file are not of a network or of images, whichever was declared. Send ONNX, .pt2, "
        ".safetensors or .pth as a model; pictures as .zip, .npz or .npy as a dataset.",
    ),
    "range-not-satisfiable": Kind(
        416,
        "The range lies outside the file",
        "The first byte that was asked for is behind the file's end. Content-Range tells the size; ask within it.",
    ),
    "validation-failed": Kind(
        422,
        "The request is not valid",
        "A value has the wrong type or lies outside its range. Each entry of errors names the place and what is "
        "expected there; /docs shows every shape.",
    ),
    "unknown-field": Kind(
        422,
        "The request has a field that is not known",
        "A key is misspelt or stands at the wrong place, so it would have had no effect. Each entry of errors names "
        "one, with the nearest known key.",
    ),
    "upload-empty": Kind(
        422,
        "The file is empty",
        "No bytes came. Check the path that was sent: curl sends an empty body for an empty file.",
    ),
    "upload-incomplete": Kind(
        422,
        "The file has not arrived in full",
        "Bytes or parts are still missing: the problem says how far the upload is. Send the rest, then ask again.",
    ),
    "upload-length-mismatch": Kind(
        422,
        "The bytes do not add up to the declared size",
        "The file was declared with another size than it has. If bytes are missing, send them; if there are too many, "
        "make a new upload.",
        type=f"{IANA}inconsistent-upload-length",
    ),
    "digest-mismatch": Kind(
        422,
        "The bytes do not have the digest that was declared",
        "The file changed while it was sent, or the sha256 is of another one. Compute it again and make a new upload.",
    ),
    "model-rejected": Kind(
        422,
        "No job can run on this model",
        "The examination of the network has found why it cannot be used: detail and reason say so, as does "
        "GET /v1/models/{id}. Mend the network and upload it again.",
    ),
    "dataset-rejected": Kind(
        422,
        "No job can use this dataset",
        "The examination of the images has found why they cannot be used: detail and reason say so, as does "
        "GET /v1/datasets/{id}. Mend the set and upload it again, or ask for a job without one.",
    ),
    "idempotency-mismatch": Kind(
        422,
        "The idempotency key belongs to another request",
        "This Idempotency-Key was sent before with another body. Take a new key for each new request.",
    ),
    "rate-limited": Kind(
        429,
        "The API key asks too often",
        "The key has made as many requests a minute as it may; GET /v1/limits tells the number. Wait for as long as "
        "Retry-After says, and rather wait for a change (Prefer: wait=30) than ask in a loop.",
        retryable=True,
    ),
    "checksum-mismatch": Kind(
        460,
        "The bytes of the request were damaged on their way",
        "A piece does not have the checksum that was sent with it, and was not kept. Send the same piece again.",
        retryable=True,
    ),
    "internal-error": Kind(
        500,
        "Something broke on our side",
        "The service met a fault of its own, which its log describes. Try again; if it stays, tell the operator the "
        "request_id or the job's id.",
        retryable=True,
    ),
    "not-ready": Kind(
        503,
        "The service is not ready",
        "A part that the service needs does not work yet, or no longer: checks says which. Ask again in some seconds.",
        retryable=True,
    ),
    "server-stopping": Kind(
        503,
        "The server is about to stop",
        "This process is being stopped and begins nothing new. Send the request again after Retry-After: another "
        "process, or this one restarted, takes it.",
        retryable=True,
    ),
    "database-unavailable": Kind(
        503,
        "The database does not answer",
        "The database did not answer in time, and nothing was changed. Send the request again after Retry-After.",
        retryable=True,
    ),
    "storage-unavailable": Kind(
        503,
        "The store of files does not answer",
        "Files cannot be read or written now; nothing was lost. Try again in a minute. A job that ends so met it on "
        "every try: submit it again once the store or the worker's disk works.",
        retryable=True,
    ),
    "storage-full": Kind(
        507,
        "There is no room left for the file",
        "The disk or the store of the service is full; what had arrived is kept. Ask the operator to free space, then "
        "go on.",
        retryable=True,
    ),
}
