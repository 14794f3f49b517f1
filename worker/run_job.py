"""One job from claim to outcome: fetch the files, run the engine in its sandbox, write what came of it.

Every way to end is one function of `core.jobs` in one transaction, made ready here as an `Outcome`. Whatever the child
does, the worker outlives it; whatever happens to the worker, the lease gives the job to another.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

import structlog
from sqlalchemy.orm import Session

from core import jobs
from core.metrics.counting import observe
from core.metrics.table import START_SECONDS
from core.problems import from_engine, job_problem
from core.storage.base import BlobCorrupt, BlobMissing, StorageError
from core.tables import JobState
from engine.recipe import Recipe
from worker.accounts import engine_told, job_told, step_told, tell_lease_lost, tell_outcome
from worker.deliveries import expected
from worker.endings import limit_exceeded
from worker.engine_lines import Conversation, clean_text, parse_object
from worker.examined import outcome_known
from worker.files import (
    AgreementBroken,
    MustStop,
    assert_plain,
    bring_images,
    bring_model,
    deliver,
    deliver_log,
    patiently,
)
from worker.heart import Heart, StopReason
from worker.isolation import Child, Ending
from worker.limits import ChildLimits
from worker.slots import Slot
from worker.workplace import Workplace

Outcome = Callable[[Session], object]
"""How the attempt ends: to be called in a transaction."""

DISK_TROUBLES: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
REPORT_BYTES: Final = 64 * 1024**2

log = structlog.get_logger()


class WorkerFault(Exception):
    """This worker could not do its part; the job has been given back, and the lane should rest."""


def run_next(place: Workplace, *, slot: Slot | None = None, job_id: str | None = None) -> bool:
    """Claim a job and see it through; False when there was none. Without a slot only jobs to validate are taken."""
    with place.database.transaction() as session:
        claim = jobs.claim(
            session,
            worker_id=place.worker_id,
            devices=[slot.device] if slot else [],
            validate=slot is None,
            lease_seconds=place.settings.lease_seconds,
            job_id=job_id,
        )
    if claim is None:
        return False
    with (
        structlog.contextvars.bound_contextvars(job_id=claim.job_id, attempt=claim.attempt),
        job_told(place.tracing, claim),
    ):
        log.info("job.claimed", state=claim.state, worker_id=place.worker_id)
        run(place, claim, slot.gpu if slot else None)
    return True


def run(place: Workplace, claim: jobs.Claim, gpu: str | None = None) -> None:
    """Work on a claimed job until it has an outcome, and write that; nothing is written by who lost the lease.

    Raises WorkerFault, when that is written, if it was not the job that failed but this worker.
    """
    fault: Exception | None = None
    with Heart(place.database, claim, place.drain) as heart:
        try:
            outcome = _work(place, claim, heart, gpu)
        except Exception as error:
            log.exception("job.worker_fault")
            fault, outcome = error, _fault(place, claim, error)
        try:
            _write(place, heart, outcome)
        except Exception as error:
            # What the outcome says cannot be written. A job that stays leased without a heart would hang for a lease.
            log.exception("job.outcome_refused")
            fault = error
            _write(place, heart, _fault(place, claim, error))
    if fault is not None:
        raise WorkerFault(f"{type(fault).__name__}: {fault}") from fault


def _work(place: Workplace, claim: jobs.Claim, heart: Heart, gpu: str | None) -> Outcome:
    """Do the job; what goes wrong in an expected way is an outcome too."""
    work = _inspect if claim.state == JobState.VALIDATING else _compress
    try:
        with _folder(place, claim) as folder:
            return work(place, claim, heart, folder, gpu)
    except MustStop:
        return _stopped(place, claim, heart)
    except (BlobMissing, BlobCorrupt) as error:
        return partial(jobs.fail, claim=claim, error=job_problem("internal-error", str(error)))
    except AgreementBroken as error:
        return partial(jobs.crashed, claim=claim, limits=_limits(place), detail=str(error))


def _fault(place: Workplace, claim: jobs.Claim, error: Exception) -> Outcome:
    no_room = isinstance(error, OSError) and error.errno in DISK_TROUBLES
    code = "storage-unavailable" if no_room or isinstance(error, StorageError) else "internal-error"
    detail = clean_text(f"The worker failed, not the job: {type(error).__name__}: {error}")
    return partial(jobs.faulted, claim=claim, limits=_limits(place), error=job_problem(code, detail))


def _inspect(place: Workplace, claim: jobs.Claim, heart: Heart, folder: Path, _gpu: str | None) -> Outcome:
    """Let the engine look at the model within small limits: is it what it says, can it be cut at all?"""
    known = outcome_known(place, claim)
    if known is not None:
        return known
    with step_told(place.tracing, "job.fetch"):
        model = bring_model(place, claim, heart, folder)
    settings = place.settings
    limits = ChildLimits(
        settings.inspect_seconds, settings.inspect_memory_bytes, settings.job_disk_bytes, settings.stop_grace_seconds
    )
    talk = Conversation()
    ending = _run_engine(place, heart, talk, ["inspect", model, "--recipe", "recipe.json"], folder, limits, None)
    if ending.exit_code == 1 and talk.error is not None:
        return partial(jobs.reject, claim=claim, error=from_engine(talk.error))
    if ending.exit_code == 0 and talk.answer is not None:
        return partial(jobs.validated, claim=claim, analysis=talk.answer)
    return _broken(place, claim, ending, limits, ())


def _compress(place: Workplace, claim: jobs.Claim, heart: Heart, folder: Path, gpu: str | None) -> Outcome:
    """Let the engine do the job, and publish what it made."""
    with step_told(place.tracing, "job.fetch"):
        command = ["compress", bring_model(place, claim, heart, folder), "--recipe", "recipe.json", "--out", "out"]
        if claim.dataset_sha256 is not None:
            command += ["--calibration", bring_images(place, claim, heart, folder)]
    talk = Conversation(on_progress=heart.tell)
    limits = _job_limits(place, claim, gpu)
    ending = _run_engine(place, heart, talk, [*command, "--checkpoint", "checkpoint"], folder, limits, gpu)
    delivered = deliver_log(place, claim, heart, folder, ending)
    if ending.exit_code == 1 and talk.error is not None:
        return partial(jobs.fail, claim=claim, error=from_engine(talk.error), delivered=delivered)
    if ending.exit_code == 0 and talk.done:
        with step_told(place.tracing, "job.deliver"):
            return _deliver(place, claim, heart, folder, delivered)
    return _broken(place, claim, ending, limits, delivered)


def _run_engine(
    place: Workplace,
    heart: Heart,
    talk: Conversation,
    command: list[str],
    folder: Path,
    limits: ChildLimits,
    gpu: str | None,
) -> Ending:
    shared = {"checkpoint": folder.parent / "checkpoint"}
    observe(START_SECONDS, time.monotonic() - heart.began_at, command[0])
    with engine_told(place.tracing, command[0], talk) as run:
        child = Child(
            place.engine, command, folder=folder, shared=shared, limits=limits, sandbox=place.sandbox, gpu=gpu
        )
        with closing(child.lines(heart.why_stop, heart.is_hurried)) as lines:
            for line in lines:
                talk.hear(line)
        ending = run.ending = child.ending()
    log.info("engine.ended", command=command[0], ending=str(ending), stopped_for=ending.stopped_for)
    if ending.stopped_for in get_args(StopReason):
        raise MustStop
    return ending


def _broken(
    place: Workplace, claim: jobs.Claim, ending: Ending, limits: ChildLimits, delivered: tuple[jobs.Delivered, ...]
) -> Outcome:
    """The child did not end as agreed: say what killed it; only what may go better another time is tried again."""
    tail = clean_text(ending.log_tail.decode(errors="replace"))
    error = limit_exceeded(ending, limits)
    if error is not None:
        return partial(jobs.fail, claim=claim, error=error, detail=tail, delivered=delivered)
    detail = f"The engine ended with {ending}. {tail[-1000:]}".strip()
    return partial(jobs.crashed, claim=claim, limits=_limits(place), detail=detail, delivered=delivered)


def _deliver(
    place: Workplace, claim: jobs.Claim, heart: Heart, folder: Path, delivered: tuple[jobs.Delivered, ...]
) -> Outcome:
    """Publish what was made first, so that it is there when the job is seen to have succeeded."""
    report = _read_report(folder / "out" / "report.json")
    files = list(expected(report))
    with place.database.transaction() as session:
        if not jobs.finalize(session, claim):
            return partial(jobs.cancelled, claim=claim)
    made = [deliver(place, heart, folder / "out" / file.name, *file) for file in files]
    outcome = str(report["outcome"])
    return partial(jobs.finish, claim=claim, outcome=outcome, report=report, delivered=(*made, *delivered))


def _stopped(place: Workplace, claim: jobs.Claim, heart: Heart) -> Outcome:
    reason = heart.why_stop()
    if reason == "cancelled":
        return partial(jobs.cancelled, claim=claim)
    if reason == "paused":
        return partial(jobs.paused, claim=claim)
    return partial(jobs.release, claim=claim, limits=_limits(place))  # refused where another has the job already


def _write(place: Workplace, heart: Heart, outcome: Outcome) -> None:
    """Write the outcome, again while the database does not answer. Written twice, the second is refused: no harm."""

    tell_outcome(outcome)

    def write() -> None:
        with place.database.transaction() as session:
            outcome(session)

    try:
        patiently(heart, write, even_when_stopped=True)
    except (jobs.LeaseLost, MustStop) as error:
        tell_lease_lost()
        log.warning("job.outcome_dropped", reason=str(error) or "the lease ran out")


def _read_report(path: Path) -> dict[str, Any]:
    assert_plain(path)
    if path.stat().st_size > REPORT_BYTES:
        raise AgreementBroken(f"The engine's report is larger than {REPORT_BYTES} bytes.")
    report = parse_object(path.read_bytes())
    if report is None or not isinstance(report.get("outcome"), str):
        raise AgreementBroken("The engine's report has no outcome.")
    return report


def _job_limits(place: Workplace, claim: jobs.Claim, gpu: str | None) -> ChildLimits:
    settings = place.settings
    wall_seconds = Recipe.model_validate(claim.recipe).budget_seconds + settings.job_grace_seconds
    memory_bytes = settings.job_memory_bytes if gpu is None else None
    return ChildLimits(wall_seconds, memory_bytes, settings.job_disk_bytes, settings.stop_grace_seconds)


def _limits(place: Workplace) -> jobs.Limits:
    return jobs.Limits.of(place.settings)


@contextmanager
def _folder(place: Workplace, claim: jobs.Claim) -> Iterator[Path]:
    """Give this attempt a folder of its own, beside the `checkpoint` that all attempts of the job share."""
    job_folder = place.scratch / claim.job_id
    folder = job_folder / f"attempt-{claim.attempt}"
    for path in (folder / "out", job_folder / "checkpoint"):
        path.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
