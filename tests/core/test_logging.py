"""No secret reaches a log line, whoever writes it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from core.keys import new_key
from core.logging import configure_logging
from core.settings import Settings
from core.webhooks.signing import new_salt, secret_of, shown


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


def test_secrets_are_hidden_by_name_and_by_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))
    key = new_key()

    structlog.get_logger().info("hello", password="canary-1", text=f"got {key}", broker_url="canary-2", size_bytes=3)
    logging.getLogger("library").warning("cannot reach redis://user:canary-3@host/0 with %s", key)
    try:
        raise ValueError(f"postgresql://me:canary-4@host failed for {key}")
    except ValueError:
        structlog.get_logger().exception("fell")

    logging.getLogger("library").warning("PUT http://s3/part?partNumber=1&X-Amz-Signature=%s failed", "deadbeef" * 8)
    secret = shown(secret_of(b"pepper", "whk_1", new_salt()))
    structlog.get_logger().info("rotated", text=f"signed with {secret}, once")

    written = capsys.readouterr().err
    assert "canary" not in written
    assert "deadbeef" not in written
    assert key not in written
    assert secret.removeprefix("whsec_") not in written
    assert json.loads(written.splitlines()[0])["size_bytes"] == 3


def test_secrets_are_hidden_inside_of_dicts_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))

    structlog.get_logger().info("hello", settings={"s3": [{"password": "canary"}], "n": [1, f"got {new_key()}"]})

    written = json.loads(capsys.readouterr().err)
    assert written["settings"] == {"s3": [{"password": "[hidden]"}], "n": [1, "got [hidden]"]}


def test_a_line_that_cannot_be_written_fails_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115  # closing it fails, and that is looked at
    monkeypatch.setattr(sys, "stderr", full)
    configure_logging(Settings())
    work = []

    structlog.get_logger().info("begun")
    work.append("done")

    assert work == ["done"]
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_a_line_names_its_job(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))

    with structlog.contextvars.bound_contextvars(job_id="job_1"):
        logging.getLogger("library").warning("hm")

    assert json.loads(capsys.readouterr().err)["job_id"] == "job_1"


def test_a_text_line_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="text"))

    structlog.get_logger().info("job.claimed", job_id="job_1")

    assert "job.claimed" in capsys.readouterr().err


def test_a_logger_with_a_name_writes_as_one_without(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))

    for logger in (structlog.get_logger(), structlog.get_logger("app.access")):
        logger.info("hello", size_bytes=3)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["size_bytes"]) for line in lines] == [("hello", 3)] * 2
