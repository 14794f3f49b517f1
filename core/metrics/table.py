"""Every metric of ours: `docs/operations.md` prints this table, the dashboard shows it, tests hold them together."""

from __future__ import annotations

from typing import Final

from core.metrics.words import Metric
from core.problems import JOB_ERRORS

ENGINE_ERRORS: Final = (
    "engine-error",
    "model-rejected",
    "model-unreadable",
    "model-unsafe",
    "operator-unsupported",
    "nothing-to-cut",
    "calibration-rejected",
    "calibration-unreadable",
    "calibration-wrong-type",
    "calibration-mismatch",
    "recipe-rejected",
    "recipe-invalid",
    "target-infeasible",
    "device-unavailable",
    "postcondition-failed",
)
"""What the engine may say of a job; a test compares it with the engine's own list."""

STAGES: Final = (
    *("load", "normalise", "images", "measure", "sparsify", "units", "score", "search", "cut", "recover", "merge"),
    *("verify", "report", "candidate", "outputs", "controls"),
)
"""The engine's stages, all candidates of a front as one; a test compares them with the engine's own."""

ENDS: Final = (
    *(("succeeded", outcome) for outcome in ("target_met", "target_missed_best_effort", "no_gain")),
    *((state, "") for state in ("rejected", "failed", "cancelled", "expired")),
)
ATTEMPT_ENDINGS: Final = (
    *("validated", "rejected", "finished", "failed", "cancelled", "paused"),
    *("crashed", "faulted", "drained", "lost"),
)
COMMANDS: Final = ("inspect", "survey", "doctor", "compress")
RUN_ENDINGS: Final = ("done", "refused", "stopped", "timeout", "disk", "out-of-memory", "crashed")
DEVICES: Final = ("cpu", "gpu")
LIVING: Final = ("submitted", "validating", "queued", "running", "pausing", "paused", "finalizing", "cancelling")
"""The states of jobs that have not ended; a test compares them with the moves of `core.jobs`."""

JOB_GROUPS: Final = tuple((state, device) for state in LIVING for device in DEVICES)
EXAMINATION_GROUPS: Final = tuple(
    (kind, state) for kind in ("model", "dataset", "report") for state in ("waiting", "running")
)

SHORT: Final = (0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120)
LONG: Final = (0.1, 0.5, 2, 10, 30, 60, 300, 900, 3600, 4 * 3600)


def _each(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


REQUEST_SECONDS: Final = Metric(
    "secateur_http_request_seconds",
    "histogram",
    "web",
    "Time from a request's first byte to its response's last, by route and status.",
    ("method", "route", "status"),
    buckets=SHORT,
)
UPLOAD_BYTES: Final = Metric(
    "secateur_upload_bytes_total", "counter", "web", "Bytes of uploads that were taken and are safe."
)

SUBMITTED: Final = Metric(
    "secateur_jobs_submitted_total", "counter", "web", "Jobs that were written.", ("device",), _each(*DEVICES)
)
ENDED: Final = Metric(
    "secateur_jobs_ended_total",
    "counter",
    "any",
    "Jobs that came to an end; the outcome is of those that succeeded.",
    ("state", "outcome"),
    ENDS,
)
ERRORS: Final = Metric(
    "secateur_job_errors_total",
    "counter",
    "any",
    "Jobs that ended with an error, by its code: poison broke its process too often.",
    ("code",),
    _each(*dict.fromkeys((*JOB_ERRORS, *ENGINE_ERRORS)), "other"),
)
ATTEMPTS: Final = Metric(
    "secateur_attempts_total",
    "counter",
    "any",
    "Tries at jobs that ended: crashed by the child, faulted by the worker, lost with a worker that came to nothing.",
    ("ending",),
    _each(*ATTEMPT_ENDINGS),
)

WAIT_SECONDS: Final = Metric(
    "secateur_job_wait_seconds",
    "histogram",
    "worker",
    "How long a job waited for a worker, until it was claimed to be inspected (validating) or run (running).",
    ("state", "device"),
    tuple((state, device) for state in ("validating", "running") for device in DEVICES),
    LONG,
)
START_SECONDS: Final = Metric(
    "secateur_job_start_seconds",
    "histogram",
    "worker",
    "From a job's claim to the start of the engine: its files come from the store.",
    ("command",),
    _each("inspect", "compress"),
    SHORT,
)
ENGINE_SECONDS: Final = Metric(
    "secateur_engine_seconds", "histogram", "worker", "How long a child ran.", ("command",), _each(*COMMANDS), LONG
)
ENGINE_RUNS: Final = Metric(
    "secateur_engine_runs_total",
    "counter",
    "worker",
    "Children that ended: refused by the engine's own word, stopped as was asked, crashed by whatever else.",
    ("command", "ending"),
    tuple((command, ending) for command in COMMANDS for ending in RUN_ENDINGS),
)
STAGE_SECONDS: Final = Metric(
    "secateur_stage_seconds",
    "histogram",
    "worker",
    "How long each stage of a compression took.",
    ("stage",),
    _each(*STAGES, "other"),
    LONG,
)
LEASES_LOST: Final = Metric(
    "secateur_leases_lost_total",
    "counter",
    "worker",
    "What this worker had in hand and lost to another, because it could not beat; its outcome was not written.",
)

TRY_SECONDS: Final = Metric(
    "secateur_webhook_try_seconds",
    "histogram",
    "sender",
    "Tries to deliver a message: taken (2xx), refused (another status), unanswered.",
    ("result",),
    _each("taken", "refused", "unanswered"),
    SHORT,
)
MESSAGES_ENDED: Final = Metric(
    "secateur_webhook_messages_ended_total",
    "counter",
    "sender",
    "Messages that were delivered, or given up after their last try.",
    ("state",),
    _each("delivered", "failed"),
)
WEBHOOKS_DISABLED: Final = Metric(
    "secateur_webhooks_disabled_total",
    "counter",
    "sender",
    "Webhooks that were switched off, and why.",
    ("reason",),
    _each("failing", "gone", "secret-lost"),
)

DATABASE_UP: Final = Metric(
    "secateur_database_up",
    "gauge",
    "web",
    "1 where the database answered this question; without it the rest is not there.",
)
JOBS: Final = Metric(
    "secateur_jobs", "gauge", "web", "Jobs that have not ended, by state and device.", ("state", "device"), JOB_GROUPS
)
JOBS_OLDEST_SECONDS: Final = Metric(
    "secateur_jobs_oldest_seconds",
    "gauge",
    "web",
    "For how long the job that is in this state longest has been in it.",
    ("state", "device"),
    JOB_GROUPS,
)
EXAMINATIONS: Final = Metric(
    "secateur_examinations",
    "gauge",
    "web",
    "Uploads and reports that wait for a worker, or have one.",
    ("kind", "state"),
    EXAMINATION_GROUPS,
)
EXAMINATIONS_OLDEST_SECONDS: Final = Metric(
    "secateur_examinations_oldest_seconds",
    "gauge",
    "web",
    "How long ago the oldest of them was asked for.",
    ("kind", "state"),
    EXAMINATION_GROUPS,
)
BELLS: Final = Metric("secateur_bells", "gauge", "web", "Bells in the outbox that no broker has taken yet.")
BELLS_OLDEST_SECONDS: Final = Metric(
    "secateur_bells_oldest_seconds", "gauge", "web", "Since when the oldest of them waits."
)
MESSAGES_PENDING: Final = Metric(
    "secateur_webhook_messages_pending", "gauge", "web", "Messages that are still to be delivered, due or not."
)
OLDEST_DUE_SECONDS: Final = Metric(
    "secateur_webhook_oldest_due_seconds",
    "gauge",
    "web",
    "How long the webhook message that is due longest has waited; it grows where no sender runs, or too few.",
)
WORKERS: Final = Metric(
    "secateur_workers", "gauge", "web", "Worker processes that serve a device.", ("device",), _each(*DEVICES)
)
STORED_BYTES: Final = Metric("secateur_stored_bytes", "gauge", "web", "Bytes in the store, the same bytes once.")
UNFINISHED_BYTES: Final = Metric(
    "secateur_uploads_unfinished_bytes", "gauge", "web", "Bytes of uploads that are not whole yet."
)

METRICS: Final = (
    *(REQUEST_SECONDS, UPLOAD_BYTES),
    *(SUBMITTED, ENDED, ERRORS, ATTEMPTS),
    *(WAIT_SECONDS, START_SECONDS, ENGINE_SECONDS, ENGINE_RUNS, STAGE_SECONDS, LEASES_LOST),
    *(TRY_SECONDS, MESSAGES_ENDED, WEBHOOKS_DISABLED),
    *(DATABASE_UP, JOBS, JOBS_OLDEST_SECONDS, EXAMINATIONS, EXAMINATIONS_OLDEST_SECONDS, BELLS, BELLS_OLDEST_SECONDS),
    *(MESSAGES_PENDING, OLDEST_DUE_SECONDS, WORKERS, STORED_BYTES, UNFINISHED_BYTES),
)
"""All of them, in the order of the page. Gauges are read from the rows when somebody asks (`app.metrics.rows`)."""
