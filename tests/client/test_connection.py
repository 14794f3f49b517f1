"""Troubles that pass are waited out; the others are told at once, with what to do."""

from __future__ import annotations

import httpx2
import pytest

from client import Client, Refused, ServerUnreachable, UsageError
from client.connection import Connection
from tests.client import samples
from tests.client.fake_service import KEY, FakeService


def test_a_busy_server_is_asked_again(service: FakeService, client: Client) -> None:
    service.jobs["job_1"] = [samples.job()]
    service.busy = 2

    assert client.job("job_1").id == "job_1"
    assert service.sent("GET", "/v1/jobs/job_1") == 3


def test_a_post_whose_answer_was_lost_happens_once(service: FakeService, client: Client) -> None:
    service.jobs["job_1"] = [samples.job("submitted")]
    service.cuts = 1

    client.submit("mod_1", None, {"seed": 3})

    assert service.sent("POST", "/v1/jobs") == 2
    assert [body["recipe"] for body in service.submitted] == [{"seed": 3}]


def test_a_refusal_is_not_asked_again(service: FakeService, client: Client) -> None:
    with pytest.raises(Refused) as refusal:
        client.job("job_unknown")

    assert refusal.value.problem.code == "not-found"
    assert refusal.value.problem.request_id == "req_1"
    assert len(service.requests) == 1


def test_a_wrong_key_says_what_to_set(service: FakeService) -> None:
    with Client(service.url, "sct_wrong") as stranger, pytest.raises(Refused) as refusal:
        stranger.job("job_1")

    assert "SECATEUR_KEY" in (refusal.value.problem.what_to_do or "")


def test_no_server_is_told_with_its_address() -> None:
    with Client("http://127.0.0.1:9", KEY, patience_seconds=0.3) as lonely, pytest.raises(ServerUnreachable) as error:
        lonely.job("job_1")

    assert error.value.problem.where == "http://127.0.0.1:9"
    assert error.value.exit_code == 3


def test_trouble_is_told_once_and_not_at_every_try(service: FakeService) -> None:
    heard: list[str] = []
    service.jobs["job_1"] = [samples.job()]
    service.busy = 3

    with Client(service.url, KEY, on_trouble=heard.append) as patient:
        patient.job("job_1")

    assert heard == [f"Waiting for {service.url}: The database is away."]


def test_a_page_of_a_proxy_becomes_a_problem_of_its_status() -> None:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(418, text="<html>teapot</html>"))

    with Client("http://127.0.0.1:1", KEY, transport=transport) as client, pytest.raises(Refused) as refusal:
        client.limits()

    assert refusal.value.problem.code == "http-418"


def test_the_key_does_not_follow_a_redirect_to_the_storage() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if request.url.host == "storage.test":
            return httpx2.Response(200, content=b"bytes")
        return httpx2.Response(307, headers={"Location": "http://storage.test/blob"})

    connection = Connection("http://127.0.0.1:1", KEY, transport=httpx2.MockTransport(answer))
    with connection.stream_once("/v1/artifacts/art_1/content", {}) as response:
        response.read()
    connection.close()

    assert "Authorization" in seen[0].headers
    assert "Authorization" not in seen[1].headers


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_a_usage_error(key: str) -> None:
    with pytest.raises(UsageError, match="No key"):
        Connection("http://127.0.0.1:1", key)


def test_an_address_without_a_scheme_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="http://"):
        Connection("127.0.0.1:8080", KEY)


def test_a_job_is_followed_to_its_end(service: FakeService, client: Client) -> None:
    states = [samples.job("queued"), samples.job("running", fraction=0.5, version=2), samples.succeeded()]
    service.jobs["job_1"] = list(states)

    assert [job.state for job in client.follow("job_1")] == ["queued", "running", "succeeded"]
