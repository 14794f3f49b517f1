"""Rows and reports as a real service would have them, put straight into the database."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.orm import Session

from core import jobs
from core.db import Database, insert_if_absent, utc_now
from core.ids import new_id
from core.scopes import DEFAULT_PROJECT_ID
from core.storage.base import Storage, hash_file
from core.tables import Blob, Dataset, StoredModel, Worker
from engine.recipe import LatencyRatio, Pareto, Recipe
from engine.report import (
    Accuracy,
    CandidateReport,
    ControlReport,
    Cost,
    DataUse,
    DroppedCandidate,
    Environment,
    Fidelity,
    GroupDecision,
    Interval,
    Latency,
    LatencyComparison,
    Outcome,
    OutputFidelity,
    OutputFile,
    Recovery,
    Report,
    Stage,
    UnitDecision,
    Zeros,
)

WORKER_ID = "wrk_sample"
LIMITS = jobs.Limits(crash_limit=3, interrupt_limit=20, retry_seconds=10)


def sample_report(*, unit_count: int = 27, seed: int = 0, **changes: Any) -> Report:
    """Return a report of a residual network at batch 8: eight units cut, 0.684 of the latency, a point of accuracy."""
    rng = random.Random(seed)
    decisions = tuple(_unit(place, rng) for place in range(unit_count))
    report = Report(
        outcome=Outcome.TARGET_MET,
        summary="8 of 27 residual branches were removed; the repaired network runs in 0.684 of the original's time.",
        recipe=Recipe(target=LatencyRatio(latency_ratio=0.7)),
        latency=LatencyComparison(
            original=Latency(latency_ms_p50=14.7312, latency_ms_p95=15.9127, samples=412),
            delivered=Latency(latency_ms_p50=10.0761, latency_ms_p95=11.3304, samples=413),
            ratio=Interval(value=0.68402, low=0.67511, high=0.69177),
        ),
        predicted_latency_ratio=0.6918,
        original=Cost(parameters=855_770, macs=1_011_214_336, size_bytes=3_472_801, uncounted=("Softmax",)),
        delivered=Cost(parameters=661_338, macs=708_175_104, size_bytes=2_691_455, uncounted=("Softmax",)),
        fidelity=Fidelity(
            images=2000,
            agreement=Interval(value=0.9105, low=0.8972, high=0.9222),
            kl_divergence=0.09312,
            outputs=(OutputFidelity(output="logits", relative_error=0.1871, cosine=0.98264),),
            accuracy=Accuracy(
                original=Interval(value=0.8243, low=0.8070, high=0.8404),
                delivered=Interval(value=0.8137, low=0.7960, high=0.8302),
                images=2000,
            ),
        ),
        data=DataUse(
            rung=0,
            source="calibration",
            repair_images=400,
            selection_images=50,
            test_images=2000,
            notes=("Flipped left to right and shifted by up to two pixels during repair.",),
        ),
        units=decisions,
        groups=tuple(_group(place, rng) for place in range(unit_count // 2)),
        controls=(sample_control(),),
        zeros=sample_zeros(),
        recovery=Recovery(
            error_plain=0.5231,
            error_closed_form=0.2714,
            error_final=0.1639,
            steps=1800,
            best_step=1450,
            stopped_by="early_stop",
        ),
        stages=tuple(
            Stage(name=name, seconds=seconds)
            for name, seconds in {
                "load": 0.31,
                "normalise": 0.74,
                "measure": 12.6,
                "units": 0.09,
                "score": 61.8,
                "search": 0.42,
                "cut": 0.12,
                "recover": 254.7,
                "merge": 0.38,
                "verify": 8.4,
                "report": 13.1,
            }.items()
        ),
        environment=Environment(
            processor="Xeon Platinum 8481C",
            cores=2,
            accelerator=None,
            provider="CPUExecutionProvider",
            threads=1,
            batch=8,
            runtime="onnxruntime 1.31.1",
            platform="Linux 6.1 x86_64",
        ),
        warnings=("The machine was busy while the latency was measured: runs differ by 8 %.",),
        sha256="3f" * 32,
    )
    return report.model_copy(update=changes)


def sample_control(**changes: Any) -> ControlReport:
    """Return what the sample's architecture comes to from random weights."""
    control = ControlReport(
        name="scratch_e",
        accuracy=Interval(value=0.5121, low=0.4902, high=0.5339),
        inherited_accuracy=Interval(value=0.8137, low=0.7960, high=0.8302),
        difference=Interval(value=0.3016, low=0.2781, high=0.3251),
        images=450,
        test_images=2000,
        epochs=31.5,
        epochs_planned=160,
        seconds=88.1,
        stopped_by="budget",
        meaning="Here the inherited weights are worth 30 points (+28 to +33).",
    )
    return control.model_copy(update=changes)


def sample_zeros() -> Zeros:
    return Zeros(
        pattern="2:4",
        zeros=420_001,
        weights=840_002,
        original_compressed_bytes=3_211_432,
        delivered_compressed_bytes=1_904_118,
        ratio_to_dense=Interval(value=1.002, low=0.994, high=1.011),
        meaning="A dense runtime calculates with zeros as with any number.",
    )


def _group(place: int, rng: random.Random) -> GroupDecision:
    """Return a group of which every third is narrowed, and every fifth was not weighed."""
    channels = 8 * rng.randrange(2, 9)
    kept = channels - 8 if place % 3 == 0 else channels
    weighed = place % 5 > 0
    return GroupDecision(
        name=f"node_Conv_{place}",
        channels=channels,
        kept=kept,
        recoverability=rng.uniform(0.001, 0.2) if weighed else None,
        latency_share=Interval(value=0.013, low=0.011, high=0.016) if weighed else None,
        reason="least harm for the time" if kept < channels else "not needed for the target",
    )


def sample_output(kind: Literal["fp16", "int8"], **changes: Any) -> OutputFile:
    """Return a further file of the sample report's network: a little faster, half as large or less."""
    report = sample_report()
    output = OutputFile(
        kind=kind,
        file=f"outputs/{kind}.onnx",
        how="weights of fewer bits",
        latency=report.latency,
        ratio_to_fp32=Interval(value=0.911, low=0.902, high=0.921),
        fidelity=report.fidelity,
        size_bytes=701_234,
        sha256="4f" * 32,
        notes=("Its ranges are those of 48 images of the repair.",),
    )
    return output.model_copy(update=changes)


def sample_front(count: int = 3, **changes: Any) -> Report:
    """Return the report of a front: so many networks, each a tenth faster than the one before; one was dropped."""
    whole = sample_report(recipe=Recipe(target=Pareto(pareto=max(count, 2))))
    candidates = tuple(_candidate(whole, number, count) for number in range(1, count + 1))
    slow = Interval(value=0.97, low=0.95, high=0.99)
    dropped = DroppedCandidate(units=("a",), latency_ratio=slow, error=0.02, reason="another is faster with less error")
    return whole.model_copy(update={"candidates": candidates, "dropped": (dropped,)} | changes)


def _candidate(whole: Report, number: int, count: int) -> CandidateReport:
    ratio, error = 1 - 0.9 * number / (count + 1), 0.05 * number**1.5
    assert whole.recovery is not None
    return CandidateReport(
        file=f"candidates/{number:02}.onnx",
        is_model=number == (count + 1) // 2,
        units=tuple(unit.name for unit in whole.units[:number]),
        latency=whole.latency.model_copy(update={"ratio": Interval(value=ratio, low=ratio - 0.01, high=ratio + 0.01)}),
        predicted_latency_ratio=ratio,
        cost=whole.delivered,
        fidelity=whole.fidelity,
        recovery=whole.recovery.model_copy(update={"error_final": error}),
        sha256=f"{number:02x}" * 32,
    )


def _unit(place: int, rng: random.Random) -> UnitDecision:
    share = 0.028 + 0.012 * rng.random()
    error = 0.01 + 0.2 * rng.random() ** 2
    is_cut = error / share < 1.0
    reason = "Cheap to lose for what it costs." if is_cut else "Its loss would cost more than the time it takes."
    return UnitDecision(
        name=f"/layer{1 + place // 9}/layer{1 + place // 9}.{place % 9}/Add",
        nodes=(f"conv{place}a", f"conv{place}b"),
        recoverability=error,
        latency_share=Interval(value=share, low=share - 0.004, high=share + 0.005),
        score=error / share,
        decision="cut" if is_cut else "kept",
        reason=reason,
    )


def add_model(database: Database, name: str = "resnet56.onnx") -> str:
    """Store the row of a model whose bytes nobody will ask for."""
    return database.do(lambda session: _add(session, StoredModel, "mod", name))


def add_dataset(database: Database, name: str = "images.zip") -> str:
    """Store the row of a dataset whose bytes nobody will ask for."""
    return database.do(lambda session: _add(session, Dataset, "dat", name))


def _add(session: Session, table: type[StoredModel] | type[Dataset], prefix: str, name: str) -> str:
    now, sha256 = utc_now(session), hashlib.sha256(name.encode()).hexdigest()
    insert_if_absent(session, Blob, sha256=sha256, size_bytes=3_472_801, created_at=now)
    row = table(
        id=new_id(prefix), project_id=DEFAULT_PROJECT_ID, name=name, sha256=sha256, size_bytes=3_472_801, created_at=now
    )
    session.add(row)
    session.flush()
    return row.id


def submit_job(database: Database, model_id: str, **changes: Any) -> str:
    """Submit a job of the default project."""
    given: dict[str, Any] = {
        "project_id": DEFAULT_PROJECT_ID,
        "model_id": model_id,
        "dataset_id": None,
        "recipe": Recipe().model_dump(mode="json"),
        "labels": {},
        "device": "cpu",
    }
    return database.do(lambda session: jobs.submit(session, **(given | changes)).id)


def start_job(database: Database, job_id: str) -> jobs.Claim:
    """Let the sample worker validate the job and begin to run it."""
    with database.transaction() as session:
        jobs.validated(session, _claim(session, job_id), {})
        return _claim(session, job_id)


def _claim(session: Session, job_id: str) -> jobs.Claim:
    claim = jobs.claim(session, worker_id=WORKER_ID, devices=["cpu", "gpu"], lease_seconds=60, job_id=job_id)
    assert claim is not None
    return claim


def beat(database: Database, claim: jobs.Claim, stage: str, fraction: float, message: str | None = None) -> None:
    """Report progress as the worker does."""
    told = jobs.Progress(stage, fraction, eta_seconds=400 * (1 - fraction), message=message)
    database.do(lambda session: jobs.beat(session, claim, told))


def finish_job(
    database: Database, storage: Storage, claim: jobs.Claim, folder: Path, report: Report, content: bytes = b"a network"
) -> str:
    """Publish one file, under every name that the report has for a network, and let the job succeed.

    Returns the file's sha256.
    """
    path = folder / f"{claim.job_id}.onnx"
    path.write_bytes(content)
    sha256 = hash_file(path)
    storage.put_file(path, sha256)
    roles = {"model.onnx": "model"} | {candidate.file: "candidate" for candidate in report.candidates}
    roles |= {output.file: "output" for output in report.outputs}
    delivered = [
        jobs.Delivered(name, role, "application/octet-stream", sha256, len(content)) for name, role in roles.items()
    ]
    with database.transaction() as session:
        jobs.finish(session, claim, outcome=report.outcome, report=report.model_dump(mode="json"), delivered=delivered)
    return sha256


def add_worker(
    database: Database, job_id: str | None = None, host: str = "prune-1", worker_id: str = WORKER_ID
) -> None:
    """Store a worker that was seen just now."""
    with database.transaction() as session:
        now = utc_now(session)
        session.add(
            Worker(
                id=worker_id,
                host=host,
                boot_id="boot",
                pid=4711,
                pid_started="1",
                devices=["cpu"],
                sandbox="bubblewrap",
                job_id=job_id,
                started_at=now,
                seen_at=now,
            )
        )
