"""One examination from claim to answer: fetch the files, let the engine look in its sandbox, write what it says.

What the engine refuses is an answer, too. Only what went wrong without its saying so is tried again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, get_args

import structlog
from sqlalchemy.orm import Session

from core import examinations, jobs
from core.problems import Problem, from_engine, job_problem
from core.storage.base import BlobCorrupt, BlobMissing
from worker.accounts import engine_told, examination_told, tell_lease_lost, tell_outcome
from worker.endings import limit_exceeded
from worker.engine_lines import Conversation, clean_text
from worker.files import MustStop, bring, patiently
from worker.heart import Heart, StopReason
from worker.isolation import Child, Ending
from worker.limits import ChildLimits
from worker.workplace import Workplace

COMMANDS: Final[dict[examinations.Kind, str]] = {"model": "inspect", "dataset": "survey", "report": "doctor"}
"""Which of the engine's commands answers a question of each kind."""

NEEDS_ARCHITECTURE: Final = ("recipe-invalid", "architecture")

Outcome = Callable[[Session], object]

log = structlog.get_logger()


def examine_next(place: Workplace, kinds: tuple[examinations.Kind, ...]) -> bool:
    """Claim an examination of these kinds and see it through; False when there was none."""
    with place.database.transaction() as session:
        claim = examinations.claim(
            session, worker_id=place.worker_id, kinds=kinds, lease_seconds=place.settings.lease_seconds
        )
    if claim is None:
        return False
    with (
        structlog.contextvars.bound_contextvars(examination_id=claim.examination_id, attempt=claim.attempt),
        examination_told(place.tracing, claim),
    ):
        log.info("examination.claimed", kind=claim.kind)
        with Heart(place.database, claim, place.drain, examinations.beat) as heart:
            _write(place, heart, _examine(place, claim, heart))
    return True


def _examine(place: Workplace, claim: examinations.Claim, heart: Heart) -> Outcome:
    try:
        with _folder(place, claim) as folder:
            return _ask_the_engine(place, claim, heart, folder)
    except MustStop:
        return partial(examinations.given_back, claim=claim)
    except (BlobMissing, BlobCorrupt) as error:
        return partial(examinations.troubled, claim=claim, error=job_problem("internal-error", str(error)))
    except Exception as error:
        log.exception("examination.worker_fault")
        detail = clean_text(f"The worker failed: {type(error).__name__}: {error}")
        return partial(examinations.troubled, claim=claim, error=job_problem("internal-error", detail))


def _ask_the_engine(place: Workplace, claim: examinations.Claim, heart: Heart, folder: Path) -> Outcome:
    settings, talk = place.settings, Conversation()
    limits = ChildLimits(
        settings.inspect_seconds, settings.inspect_memory_bytes, settings.job_disk_bytes, settings.stop_grace_seconds
    )
    command = _command(place, claim, heart, folder)
    with engine_told(place.tracing, command[0], talk) as run:
        child = Child(place.engine, command, folder=folder, shared={}, limits=limits, sandbox=place.sandbox, gpu=None)
        with closing(child.lines(heart.why_stop, heart.is_hurried)) as lines:
            for line in lines:
                talk.hear(line)
        ending = run.ending = child.ending()
    log.info("engine.ended", command=command[0], ending=str(ending), stopped_for=ending.stopped_for)
    if ending.stopped_for in get_args(StopReason):
        raise MustStop
    if ending.exit_code == 1 and talk.error is not None:
        return partial(examinations.answered, claim=claim, answer=None, error=_refusal(claim, from_engine(talk.error)))
    if ending.exit_code == 0 and talk.answer is not None:
        return partial(examinations.answered, claim=claim, answer=talk.answer, error=_blocking(claim, talk.answer))
    return partial(examinations.troubled, claim=claim, error=limit_exceeded(ending, limits) or _broken(ending))


def _command(place: Workplace, claim: examinations.Claim, heart: Heart, folder: Path) -> list[str]:
    command: list[str] = [COMMANDS[claim.kind]]
    if claim.model_sha256 is not None and claim.model_name is not None:
        command.append(bring(place, heart, claim.model_sha256, claim.model_name, folder, "model"))
    if claim.dataset_sha256 is not None and claim.dataset_name is not None:
        command.append(bring(place, heart, claim.dataset_sha256, claim.dataset_name, folder, "calibration"))
    if claim.kind == "dataset":
        return command
    (folder / "recipe.json").write_text(json.dumps(claim.recipe))
    return [*command, "--architecture" if claim.kind == "model" else "--recipe", "recipe.json"]


def _refusal(claim: examinations.Claim, error: Problem) -> Problem | None:
    """Return why the file is no use; bare weights are of use to a job whose recipe names their architecture."""
    if claim.kind == "model" and (error["code"], error["where"]) == NEEDS_ARCHITECTURE and not claim.recipe:
        return None
    return error


def _blocking(claim: examinations.Claim, answer: dict[str, object]) -> Problem | None:
    """Return what stops every job on a network that could be read."""
    blocking = answer.get("blocking") if claim.kind == "model" else None
    if not isinstance(blocking, list) or not blocking or not isinstance(blocking[0], dict):
        return None
    return from_engine({"title": "No job can run on this model", **blocking[0]})


def _broken(ending: Ending) -> Problem:
    tail = clean_text(ending.log_tail.decode(errors="replace"))[-1000:]
    return job_problem("poison", f"The engine ended with {ending}. {tail}".strip())


def _write(place: Workplace, heart: Heart, outcome: Outcome) -> None:
    tell_outcome(outcome)

    def write() -> None:
        with place.database.transaction() as session:
            outcome(session)

    try:
        patiently(heart, write, even_when_stopped=True)
    except (jobs.LeaseLost, MustStop) as error:
        tell_lease_lost()
        log.warning("examination.dropped", reason=str(error) or "the lease ran out")


@contextmanager
def _folder(place: Workplace, claim: examinations.Claim) -> Iterator[Path]:
    folder = place.scratch / claim.examination_id / f"attempt-{claim.attempt}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
