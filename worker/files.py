"""The files of one attempt: from the store into its folder, and from there back, as plain files only."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError

from core import jobs
from core.blobs import publish
from core.logging import redact
from core.storage.base import StorageUnavailable, hash_file
from worker.heart import Heart
from worker.isolation import Ending
from worker.workplace import Workplace

LONGEST_WAIT_SECONDS: Final = 30.0
STEM_MOST: Final = 50
"""Characters; each has at most four bytes, and file systems take 255."""

log = structlog.get_logger()


class MustStop(Exception):
    """The work may not go on; `Heart.why_stop` says why."""


class AgreementBroken(Exception):
    """The engine ended well, but did not leave what was agreed."""


def bring_model(place: Workplace, claim: jobs.Claim, heart: Heart, folder: Path) -> str:
    (folder / "recipe.json").write_text(json.dumps(claim.recipe))
    return bring(place, heart, claim.model_sha256, claim.model_name, folder, "model")


def bring_images(place: Workplace, claim: jobs.Claim, heart: Heart, folder: Path) -> str:
    assert claim.dataset_sha256 is not None
    assert claim.dataset_name is not None
    return bring(place, heart, claim.dataset_sha256, claim.dataset_name, folder, "calibration")


def bring(place: Workplace, heart: Heart, sha256: str, name: str, folder: Path, word: str) -> str:
    """Fetch an upload into a folder `word` of its own; return where it is, seen from the folder.

    It keeps its name there as far as that is harmless: what the engine says of a file then names what the user sent.
    """
    path = folder / word / file_name(name, word)
    path.parent.mkdir(exist_ok=True)

    def fetch() -> None:
        path.unlink(missing_ok=True)
        place.storage.fetch(sha256, path)

    patiently(heart, fetch)
    return f"{word}/{path.name}"


def deliver(place: Workplace, heart: Heart, path: Path, name: str, role: str, media_type: str) -> jobs.Delivered:
    assert_plain(path)
    sha256, size_bytes = hash_file(path), path.stat().st_size
    patiently(heart, lambda: publish(place.database, place.storage, path, sha256))
    return jobs.Delivered(name, role, media_type, sha256, size_bytes)


def deliver_log(
    place: Workplace, claim: jobs.Claim, heart: Heart, folder: Path, ending: Ending
) -> tuple[jobs.Delivered, ...]:
    if not ending.log_tail:
        return ()
    path = folder.parent / f"log-{claim.attempt}"  # beside the folder that the child can write to
    path.write_text(redact(ending.log_tail.decode(errors="replace")))
    name = f"attempt-{claim.attempt}.log"
    return (deliver(place, heart, path, name, "log", "text/plain; charset=utf-8"),)


def assert_plain(path: Path) -> None:
    """Refuse what the child may have put in a file's place: a link would make us publish a file of this machine."""
    try:
        folder, file = path.parent.lstat(), path.lstat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AgreementBroken(f"The engine left no {path.name}.") from error
    if not stat.S_ISDIR(folder.st_mode) or not stat.S_ISREG(file.st_mode) or file.st_nlink != 1:
        raise AgreementBroken(f"The engine left something other than a plain file as {path.name}.")


def patiently(heart: Heart, action: Callable[[], object], *, even_when_stopped: bool = False) -> None:
    """Try again while a server of ours is away, for as long as the job is ours. Raises MustStop when it is not."""
    wait_seconds = 0.25
    while True:
        try:
            action()
        except (StorageUnavailable, OperationalError) as error:
            log.warning("worker.waits", reason=type(error).__name__, seconds=wait_seconds)
        else:
            return
        if not heart.wait(wait_seconds, even_when_stopped=even_when_stopped):
            raise MustStop
        wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)


def file_name(name: str, otherwise: str) -> str:
    """Return an upload's name with letters, digits and single marks alone, no longer than any file system takes.

    Its end stays as it is, in small letters: `.onnx` and `.zip` say what form the file has. `otherwise` stands where
    nothing else is left.
    """
    found = re.search(r"\.[a-z0-9]{1,12}$", name.lower())
    suffix = found[0] if found else ""
    stem = re.sub(r"[^\w.-]+|\.{2,}", "_", name[: len(name) - len(suffix)]).lstrip(".-")
    return f"{stem[:STEM_MOST] or otherwise}{suffix}"
