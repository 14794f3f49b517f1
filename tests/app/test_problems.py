"""Whatever goes wrong is told in one form, by the framework's hands too."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from sqlalchemy import delete, text
from sqlalchemy.exc import OperationalError

from app import errors
from app.catalogue.job_codes import EXPLANATIONS
from app.errors import Problem, problem_of
from app.problem_kinds import PROBLEMS
from core.problems import JOB_ERRORS
from core.settings import Settings
from core.storage.base import StorageFull, StorageUnavailable
from core.tables import StoredModel
from engine.errors import EngineError
from tests.app.running import Service, assert_problem, make_model, running_service, wait_until


def test_an_unknown_path_is_a_problem(client: httpx2.Client) -> None:
    assert_problem(client.get("/v1/nowhere"), 404, "not-found", "/openapi.json")


def test_the_root_names_what_there_is_and_each_of_it_answers(client: httpx2.Client) -> None:
    named = ("/openapi.json", "/docs", "/admin")

    assert_problem(client.get("/"), 404, "not-found", *named)
    assert [client.get(path, follow_redirects=True).status_code for path in named] == [200, 200, 200]


def test_a_wrong_method_is_a_problem_that_names_the_right_one(client: httpx2.Client) -> None:
    response = client.delete("/healthz")

    assert_problem(response, 405, "method-not-allowed", "GET")
    assert response.headers["Allow"] == "GET"


def test_every_method_of_a_path_is_named_whichever_endpoint_has_it(client: httpx2.Client) -> None:
    allowed = {
        path: client.request("TRACE", path).headers["Allow"]
        for path in ("/v1/jobs", "/v1/jobs/job_0", "/v1/models/mod_0", "/v1/uploads/upl_0")
    }

    assert allowed == {
        "/v1/jobs": "GET, POST",
        "/v1/jobs/job_0": "DELETE, GET",
        "/v1/models/mod_0": "DELETE, GET",
        "/v1/uploads/upl_0": "DELETE, GET, HEAD, PATCH",  # POST there is for tus clients alone
    }


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'{"model_id": "x",}', b"nul"])
def test_a_body_that_is_no_json_is_told_where_it_stops(client: httpx2.Client, body: bytes) -> None:
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert_problem(response, 400, "malformed-json", "character")


@pytest.mark.parametrize("body", [b'{"model_id": "\xff"}', b"[" * 100_000])
def test_a_body_that_breaks_the_parser_is_the_clients_fault(client: httpx2.Client, body: bytes) -> None:
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert_problem(response, 400, "bad-request", "JSON")


def test_a_body_over_the_limit_is_refused_by_its_declared_length(client: httpx2.Client, service: Service) -> None:
    limit = service.services.settings.max_request_bytes
    body = b'{"model_id": "' + b"x" * limit + b'"}'

    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert assert_problem(response, 413, "request-too-large", str(limit), "/v1/uploads")["limit_bytes"] == limit


def test_a_body_over_the_limit_is_refused_by_what_was_counted(client: httpx2.Client, service: Service) -> None:
    limit = service.services.settings.max_request_bytes

    response = client.post(
        "/v1/jobs",
        content=(b" " * 65536 for _ in range(limit // 65536 + 2)),
        headers={"Content-Type": "application/json"},
    )

    assert_problem(response, 413, "request-too-large", str(limit))


def test_a_bug_of_ours_is_told_without_its_text(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    with service.client() as client:
        client.get("/v1/me")
        monkeypatch.setattr(service.database, "fetch_all", broken)

        response = client.get("/v1/jobs")

    body = assert_problem(response, 500, "internal-error", "request_id")
    assert "secret" not in response.text
    assert body["retryable"]


def test_every_response_has_an_id_of_its_own_and_safe_headers(client: httpx2.Client) -> None:
    responses = [client.get(path) for path in ("/healthz", "/v1/me", "/nowhere", "/openapi.json")]

    assert len({response.headers["Request-Id"] for response in responses}) == len(responses)
    for response in responses:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_a_path_with_a_nul_is_no_id(client: httpx2.Client) -> None:
    for path in (
        "/v1/jobs/job_%00",
        "/v1/uploads/%F0%9F%92%A9",
        "/v1/models/" + "x" * 500,
        "/v1/artifacts/..%2f/content",
    ):
        assert_problem(client.get(path), 404, "not-found")


def test_bytes_that_are_no_http_do_not_stop_the_server(service: Service, client: httpx2.Client) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as raw:
        raw.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        raw.recv(1000)

    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OSError(28, "No space left on device"), "storage-full"),
        (StorageFull("There is no room left for files."), "storage-full"),
        (StorageUnavailable("The store does not answer."), "storage-unavailable"),
        (OperationalError("select 1", {}, Exception("locked")), "database-unavailable"),
        (OSError(5, "Input/output error"), "internal-error"),
        (KeyError("x"), "internal-error"),
    ],
)
def test_a_fault_of_the_world_is_told_from_a_bug(fault: Exception, code: str) -> None:
    problem = problem_of(fault)

    assert problem.code == code
    assert errors.problem_response(problem, "req_1").status_code == PROBLEMS[code].status


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_in_the_table_can_be_looked_up(client: httpx2.Client, code: str) -> None:
    body = client.get(f"/problems/{code}").json()

    assert body["type"] == (PROBLEMS[code].type or f"/problems/{code}")
    assert body["status"] == Problem(code, "x").status_code == PROBLEMS[code].status
    assert 400 <= body["status"] < 600
    assert body["explanation"] == PROBLEMS[code].explanation


@pytest.mark.parametrize("code", ["poison", "job-timeout", "nothing-to-cut", "model-rejected", "engine-error"])
def test_what_a_job_can_fail_with_can_be_looked_up_too(client: httpx2.Client, code: str) -> None:
    """A job's `error` has a `type` like any problem."""
    body = client.get(f"/problems/{code}").json()

    assert (body["type"], body["code"]) == (f"/problems/{code}", code)
    assert body["title"]
    assert 400 <= body["status"] < 600


def test_every_code_is_explained_once_in_sentences() -> None:
    """Of a job's codes, too, and of no code that there is not."""
    own = {kind.code for kind in _all_kinds(EngineError)} | set(JOB_ERRORS)
    texts = [kind.explanation for kind in PROBLEMS.values()] + list(EXPLANATIONS.values())

    assert set(EXPLANATIONS) == own - set(PROBLEMS)
    assert [text for text in texts if not 30 < len(text) < 300 or not text.endswith(".")] == []


def _all_kinds(root: type[EngineError]) -> Iterator[type[EngineError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _all_kinds(kind)


def test_a_code_that_was_never_told_is_not_found(client: httpx2.Client) -> None:
    assert_problem(client.get("/problems/nonsense"), 404, "not-found", "nonsense")


def test_a_model_that_is_deleted_under_a_job_is_a_conflict(postgres_settings: Settings) -> None:
    """PostgreSQL lets both begin; the second finds its reference broken when the first has committed."""
    with running_service(postgres_settings) as service, service.client() as client:
        model_id = make_model(client)
        with ThreadPoolExecutor(1) as pool:
            with service.database.transaction() as session:
                session.execute(delete(StoredModel).where(StoredModel.id == model_id))
                asked = pool.submit(client.post, "/v1/jobs", json={"model_id": model_id})
                wait_until(lambda: _is_someone_waiting(service))
            answer = asked.result(10)

        assert_problem(answer, 409, "state-conflict", "deleted")
        assert client.get("/v1/jobs").json()["jobs"] == []


def _is_someone_waiting(service: Service) -> bool:
    with service.database.transaction() as session:
        return bool(session.scalar(text("select count(*) from pg_locks where not granted")))


def test_the_same_path_with_a_secret_in_it_is_not_answered_with_it(client: httpx2.Client) -> None:
    model_id = make_model(client)

    response = client.post("/v1/jobs", json={"model_id": model_id, "token": "canary-91"})

    assert_problem(response, 422, "unknown-field", "token")
    assert "canary-91" not in response.text
