"""What a worker tells of its work while it does it: spans for the collector, times and endings for the metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final, get_args

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.util.types import AttributeValue

from core import examinations, jobs
from core.metrics import table
from core.metrics.counting import count, observe
from core.tracing.carried import parent_of
from core.tracing.opening import Tracing
from worker.engine_lines import Conversation
from worker.heart import StopReason
from worker.isolation import Ending

CANDIDATE: Final = re.compile(r"candidate [0-9]+")
UNHAPPY: Final = frozenset({"reject", "fail", "crashed", "faulted", "troubled"})
"""Outcomes, by the names of their functions in `core.jobs` and `core.examinations`, after which an attempt's span is an
error's."""

SECOND_NS: Final = 1_000_000_000


@contextmanager
def job_told(tracing: Tracing, claim: jobs.Claim) -> Iterator[None]:
    """Tell how long the job has waited, and of the attempt that the block is."""
    observe(table.WAIT_SECONDS, claim.waited_seconds, str(claim.state), claim.device)
    named: Mapping[str, AttributeValue] = {
        "secateur.job_id": claim.job_id,
        "secateur.attempt": claim.attempt,
        "secateur.state": str(claim.state),
        "secateur.device": claim.device,
        "secateur.worker_id": claim.worker_id,
    }
    parent = parent_of(claim.traceparent)
    if claim.traceparent is not None:
        now = time.time_ns()
        _tell_past(tracing, "job.wait", now - int(claim.waited_seconds * SECOND_NS), now, parent, named)
    with _span(tracing, "job.attempt", parent, named):
        yield


@contextmanager
def examination_told(tracing: Tracing, claim: examinations.Claim) -> Iterator[None]:
    """Tell of the attempt that the block is."""
    named: Mapping[str, AttributeValue] = {
        "secateur.examination_id": claim.examination_id,
        "secateur.kind": claim.kind,
        "secateur.attempt": claim.attempt,
        "secateur.worker_id": claim.worker_id,
    }
    with _span(tracing, "examination.attempt", parent_of(claim.traceparent), named):
        yield


def step_told(tracing: Tracing, name: str) -> AbstractContextManager[Span]:
    """Tell of a step of an attempt: the block."""
    return tracing.tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)


@contextmanager
def engine_told(tracing: Tracing, command: str, talk: Conversation) -> Iterator[EngineRun]:
    """Tell of the child's run that the block is, and of the stages that it tells in `talk`.

    What ends the block before the run has its `ending` was no orderly end of the child.
    """
    run = EngineRun(talk)
    with step_told(tracing, f"engine {command}") as span:
        try:
            yield run
        finally:
            run.tell(tracing, command, span)


class EngineRun:
    """One child, from its start to its end."""

    def __init__(self, talk: Conversation) -> None:
        self.ending: Ending | None = None
        self._talk = talk
        self._began_ns = time.time_ns()
        self._began = time.monotonic()

    def tell(self, tracing: Tracing, command: str, span: Span) -> None:
        how = "crashed" if self.ending is None else _how(self.ending, self._talk)
        observe(table.ENGINE_SECONDS, time.monotonic() - self._began, command)
        count(table.ENGINE_RUNS, command, how)
        span.set_attribute("secateur.ending", how)
        if how not in {"done", "stopped"}:
            span.set_status(StatusCode.ERROR, str(self.ending or ""))
        begun = self._talk.begun
        ends = [*(moment for _, moment in begun[1:]), time.time_ns()][: len(begun)]  # an inspection has no stages
        for (name, began_ns), ended_ns in zip(begun, ends, strict=True):
            _tell_past(tracing, f"stage {name}", began_ns, ended_ns, None, {"secateur.stage": name})
            if how == "done" or name != begun[-1][0]:  # a stage that was cut short says nothing of how long it takes
                observe(table.STAGE_SECONDS, (ended_ns - began_ns) / SECOND_NS, _as_label(name))


def tell_outcome(outcome: object) -> None:
    """Put the end of the attempt into its span: by which of the ways of `core.jobs` it ends."""
    ending = outcome.func.__name__ if isinstance(outcome, partial) else ""
    span = get_current_span()
    span.set_attribute("secateur.ending", ending)
    if ending in UNHAPPY:
        span.set_status(StatusCode.ERROR, ending)


def tell_lease_lost() -> None:
    """Another worker has what this one had in hand."""
    count(table.LEASES_LOST)
    get_current_span().set_status(StatusCode.ERROR, "lease lost")


def _how(ending: Ending, talk: Conversation) -> str:
    if ending.stopped_for in get_args(StopReason):
        return "stopped"
    if ending.stopped_for in {"timeout", "disk"}:
        return ending.stopped_for
    if ending.out_of_memory:
        return "out-of-memory"
    if ending.exit_code == 0 and (talk.done or talk.answer is not None):
        return "done"
    return "refused" if ending.exit_code == 1 and talk.error is not None else "crashed"


def _as_label(stage: str) -> str:
    return "candidate" if CANDIDATE.fullmatch(stage) else stage


def _span(
    tracing: Tracing, name: str, parent: Context, named: Mapping[str, AttributeValue]
) -> AbstractContextManager[Span]:
    return tracing.tracer.start_as_current_span(
        name, parent, SpanKind.CONSUMER, named, record_exception=False, set_status_on_exception=False
    )


def _tell_past(
    tracing: Tracing,
    name: str,
    began_ns: int,
    ended_ns: int,
    parent: Context | None,
    named: Mapping[str, AttributeValue],
) -> None:
    """Tell of something that is over; of no parent's, it is of the span that is open here."""
    span = tracing.tracer.start_span(name, parent, attributes=named, start_time=began_ns)
    span.end(max(began_ns, ended_ns))
