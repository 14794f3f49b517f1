"""What the web process shows, its requests and the state of the rows: to the operator, and to all at the admin port."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError, TimeoutError

from app.metrics.rows import RowsPage
from core.db import utc_now
from core.settings import Settings
from core.tables import Job, Worker
from tests.app.running import Service, assert_problem, make_job, put_file, running_service, start_job
from tests.servers import free_port


def series(text: str) -> dict[str, float]:
    """Return the samples by name and labels, as they are printed."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def shown(service: Service) -> dict[str, float]:
    with service.client() as operator:
        return series(operator.get("/metrics").text)


def test_jobs_are_counted_by_state_and_the_oldest_is_told(any_service: Service) -> None:
    with any_service.client() as client:
        waiting, running = make_job(client), make_job(client)
    start_job(any_service, running["id"])
    with any_service.database.transaction() as session:
        hours_ago = utc_now(session) - timedelta(hours=2)
        session.execute(update(Job).where(Job.id == waiting["id"]).values(submitted_at=hours_ago))

    found = shown(any_service)

    assert found["secateur_database_up"] == 1
    assert found['secateur_jobs{device="cpu",state="submitted"}'] == 1
    assert found['secateur_jobs{device="cpu",state="running"}'] == 1
    assert 7200 - 60 < found['secateur_jobs_oldest_seconds{device="cpu",state="submitted"}'] < 7200 + 600
    assert found['secateur_jobs_oldest_seconds{device="cpu",state="running"}'] < 600
    assert found["secateur_bells"] >= 0
    assert found['secateur_examinations{kind="model",state="waiting"}'] == 2
    for none in ('device="gpu",state="queued"', 'device="cpu",state="paused"'):  # and so they are shown
        assert (found[f"secateur_jobs{{{none}}}"], found[f"secateur_jobs_oldest_seconds{{{none}}}"]) == (0, 0)


def test_workers_and_bytes_are_counted(any_service: Service) -> None:
    place = {"host": "here", "boot_id": "b", "pid": 1, "pid_started": "1", "sandbox": "limits"}
    with any_service.database.transaction() as session:
        now = utc_now(session)
        for number, devices, age in ((1, ["cpu", "gpu"], 0), (2, ["cpu"], 0), (3, ["cpu"], 3600), (4, [], 0)):
            seen_at = now - timedelta(seconds=age)
            session.add(Worker(id=f"wrk_{number}", devices=devices, started_at=seen_at, seen_at=seen_at, **place))
    with any_service.client() as client:
        before = series(client.get("/metrics").text)["secateur_upload_bytes_total"]
        put_file(client, b"x" * 1000)
        client.post("/v1/uploads", params={"filename": "half.onnx"})
        any_service.services.__dict__.pop("_rows_page")  # which shows the sums of bytes again for a minute

    found = shown(any_service)

    assert found['secateur_workers{device="cpu"}'] == 2
    assert found['secateur_workers{device="gpu"}'] == 1
    assert found["secateur_upload_bytes_total"] == before + 1000
    assert found["secateur_stored_bytes"] == 1000
    assert found["secateur_uploads_unfinished_bytes"] == 0


def test_the_admin_port_shows_the_same_without_a_key_and_the_public_one_still_wants_it(
    sqlite_settings: Settings,
) -> None:
    port = free_port()
    with running_service(sqlite_settings.model_copy(update={"admin_port": port})) as service:
        with service.client() as operator:
            make_job(operator)
            public = operator.get("/metrics")
        admin = httpx2.get(f"http://127.0.0.1:{port}/metrics")
        assert_problem(httpx2.get(f"{service.url}/metrics"), 401, "unauthorized")
        with service.client(service.new_project("prj_other")) as stranger:
            assert_problem(stranger.get("/metrics"), 403, "forbidden-scope")

    assert admin.status_code == public.status_code == 200
    assert series(admin.text).keys() >= series(public.text).keys()
    assert 'secateur_jobs{device="cpu",state="submitted"}' in series(admin.text)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/metrics")


@pytest.mark.parametrize(
    "fault", [OperationalError("select 1", {}, Exception("gone")), TimeoutError("no connection is free")]
)
def test_of_a_database_that_is_away_only_that_is_shown(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr(service.database, "read_all", broken)

    text = RowsPage(service.database, service.services.settings).text().decode()

    assert series(text) == {"secateur_database_up": 0}
