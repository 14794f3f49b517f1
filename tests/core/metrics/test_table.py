"""The table of metrics: names that tell kind and unit, labels that no stranger can multiply, a page printed from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.orm import Session

from core.db import Database
from core.jobs import TERMINAL
from core.metrics import table
from core.metrics.counting import count, count_once_written, observe
from core.metrics.page import metrics_page
from core.metrics.table import METRICS
from core.metrics.words import Metric
from core.tables import JobState
from engine import errors, progress
from engine.errors import EngineError

ROOT = Path(__file__).parents[3]
UNITS = ("seconds", "bytes")


def value_of(metric: Metric, *labels: str, suffix: str = "") -> float | None:
    return REGISTRY.get_sample_value(metric.name + suffix, dict(zip(metric.labels, labels, strict=True)))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_tells_kind_and_unit(metric: Metric) -> None:
    assert re.fullmatch(r"secateur_[a-z_]+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.kind != "histogram" or metric.name.endswith("_seconds")
    assert metric.told.endswith(".")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert all(len(values) == len(metric.labels) for values in metric.known)


def test_every_line_is_in_the_table_once() -> None:
    lines = [value for value in vars(table).values() if isinstance(value, Metric)]

    assert sorted(metric.name for metric in METRICS) == sorted({line.name for line in lines})


def test_what_is_known_is_there_before_it_happens() -> None:
    """A rate over a counter that appears with its first event misses that event."""
    for metric in (metric for metric in METRICS if metric.kind != "gauge"):
        suffix = "_count" if metric.kind == "histogram" else ""
        for labels in metric.known:
            assert value_of(metric, *labels, suffix=suffix) is not None, (metric.name, labels)


def test_a_strangers_word_makes_no_series() -> None:
    before = value_of(table.STAGE_SECONDS, "other", suffix="_count")
    assert before is not None

    for number in range(100):
        observe(table.STAGE_SECONDS, 1.0, f"stage {number}")
    count(table.ENDED, "succeeded", "made up")

    assert value_of(table.STAGE_SECONDS, "other", suffix="_count") == before + 100
    assert value_of(table.STAGE_SECONDS, "stage 7", suffix="_count") is None
    assert value_of(table.ENDED, "succeeded", "made up") is None


def test_what_is_rolled_back_is_not_counted(sqlite: Database) -> None:
    before = value_of(table.SUBMITTED, "cpu")
    assert before is not None

    def count_and_fail(session: Session) -> None:
        count_once_written(session, table.SUBMITTED, "cpu")
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        sqlite.do(count_and_fail)
    assert value_of(table.SUBMITTED, "cpu") == before
    sqlite.do(lambda session: count_once_written(session, table.SUBMITTED, "cpu"))

    assert value_of(table.SUBMITTED, "cpu") == before + 1


def test_the_engines_words_are_known() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)]

    assert set(table.STAGES) == {*progress.STAGES, *progress.AFTERWARDS, "sparsify", "candidate"}
    assert {kind.code for kind in kinds} <= {*table.ENGINE_ERRORS}


def test_the_states_of_jobs_are_known() -> None:
    assert set(table.LIVING) == set(JobState) - TERMINAL


def test_the_page_of_operations_prints_the_table() -> None:
    """Where this fails: `python -m core.metrics` prints what belongs there."""
    assert metrics_page() in (ROOT / "docs/operations.md").read_text()
