"""Fetches one artifact so that a cut connection resumes it and a wrong byte never reaches the destination."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import httpx2

from client.connection import Connection, problem_of
from client.errors import DownloadCorrupt, Refused
from client.resources import Artifact
from client.uploads import Advance


def download(connection: Connection, artifact: Artifact, destination: Path, *, on_bytes: Advance | None = None) -> Path:
    """Write the artifact to `destination` in one step, after its sha256 was found right.

    What has arrived waits in a `.part` file beside the destination, named by the sha256, also for a later run.
    """
    advance = on_bytes or (lambda _done, _total: None)
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f"{destination.name}.{artifact.sha256[:16]}.part")
    _fetch_rest(connection, artifact, part, advance)
    _verify(artifact, part)
    os.replace(part, destination)
    return destination


def _fetch_rest(connection: Connection, artifact: Artifact, part: Path, advance: Advance) -> None:
    patience = connection.new_patience()
    while (have_bytes := part.stat().st_size if part.exists() else 0) < artifact.size_bytes or not part.exists():
        try:
            _fetch_once(connection, artifact, part, have_bytes, advance)
        except httpx2.TransportError as error:
            if part.exists() and part.stat().st_size > have_bytes:
                patience.reset()
            connection.pause(patience, error)


def _fetch_once(connection: Connection, artifact: Artifact, part: Path, have_bytes: int, advance: Advance) -> None:
    """Append what is missing; an answer with the whole file (200) begins the part anew."""
    headers = {"Accept-Encoding": "identity"}
    if have_bytes:
        headers |= {"Range": f"bytes={have_bytes}-", "If-Range": f'"{artifact.sha256}"'}
    with connection.stream_once(f"/v1/artifacts/{artifact.id}/content", headers) as response:
        if response.status_code not in {200, 206}:
            response.read()
            _raise_or_retry(response)
        with part.open("ab" if response.status_code == 206 else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                advance(file.tell(), artifact.size_bytes)
            file.flush()
            os.fsync(file.fileno())
    if response.status_code == 200 and part.stat().st_size < artifact.size_bytes:
        raise httpx2.ReadError(f"the answer ended after {part.stat().st_size} of {artifact.size_bytes} bytes")


def _raise_or_retry(response: httpx2.Response) -> None:
    """Turn an answer of a passing trouble into a transport error, which is tried again; refuse any other."""
    problem = problem_of(response)
    if response.status_code >= 500 and response.status_code != 507:
        raise httpx2.ReadError(problem.what)
    raise Refused(problem)


def _verify(artifact: Artifact, part: Path) -> None:
    """Compare with the promised sha256; damaged bytes are thrown away."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found == artifact.sha256:
        return
    part.unlink()
    raise DownloadCorrupt(
        f"The sha256 of what arrived is {found}, not {artifact.sha256}.",
        where=artifact.name,
        what_to_do="Run the command again; the damaged bytes were thrown away.",
    )
