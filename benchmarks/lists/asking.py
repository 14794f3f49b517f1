"""What is asked of the lists and of the dashboard's pages, and how long the statements of each answer take."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, Final

import httpx2
from fastapi import FastAPI
from sqlalchemy import Engine, event, text

from app.pages import page_token
from core.scopes import DEFAULT_PROJECT_ID

SMALL_PROJECT_ID: Final = "prj_" + "3".zfill(26)
PAGES_OF_200: Final = "page_size=200"


@dataclass(frozen=True)
class Question:
    """One request; `token_from` asks for the page behind a row deep in the list, by its id."""

    name: str
    path: str
    deep_id: str | None = None
    asker: str = "operator"


@dataclass
class Clock:
    """The time that statements take, and those that took long with their parameters."""

    explain_ms: float
    milliseconds: float = 0.0
    slow: dict[str, Any] = field(default_factory=dict)

    def begin(self, connection: Any, *_: Any) -> None:
        connection.info["began"] = time.perf_counter()

    def end(self, connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        taken = (time.perf_counter() - connection.info["began"]) * 1000
        self.milliseconds += taken
        if taken > self.explain_ms:
            self.slow[statement] = parameters


@dataclass
class Times:
    """Of one question, one value a round, in milliseconds: of its statements together, and of the whole answer."""

    statements: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)

    def row(self, name: str) -> dict[str, Any]:
        found = {"asked": name}
        for word, values in (("statements", self.statements), ("answer", self.answers)):
            cuts = quantiles(values, n=20, method="inclusive")
            found |= {f"{word}_ms_p50": round(cuts[9], 2), f"{word}_ms_p95": round(cuts[18], 2)}
        return found


@contextmanager
def timed_statements(explain_ms: float) -> Iterator[Clock]:
    """Time every statement of this process."""
    clock = Clock(explain_ms)
    hooks = (("before_cursor_execute", clock.begin), ("after_cursor_execute", clock.end))
    for name, hook in hooks:
        event.listen(Engine, name, hook)
    try:
        yield clock
    finally:
        for name, hook in hooks:
            event.remove(Engine, name, hook)


def questions(engine: Engine) -> list[Question]:
    """Return what is asked: every list and page, with filters, of large and small projects, first and deep pages."""
    with engine.connect() as connection:

        def one(statement: str) -> str:
            return str(connection.scalar(text(statement), {"mine": DEFAULT_PROJECT_ID} if ":mine" in statement else {}))

        middle = "SELECT id FROM {} WHERE project_id = :mine ORDER BY id OFFSET {} LIMIT 1"
        job_id = one(middle.format("jobs", 30_000))
        old_job_id = one(middle.format("jobs", 100))
        waiting_id = one("SELECT max(id) FROM jobs WHERE project_id = :mine AND state = 'queued'")
        long_id = one("SELECT id FROM jobs WHERE last_seq > 10 LIMIT 1")
        hook_id = one("SELECT min(id) FROM webhooks")
        its = f"SELECT id FROM webhook_deliveries WHERE webhook_id = '{hook_id}'"  # noqa: S608  # an id of our own
        delivery_id = one(f"{its} ORDER BY id OFFSET 5000 LIMIT 1")
        deep = {name: one(middle.format(name, count)) for name, count in (("models", 100), ("datasets", 10))}
    return [
        *_lists_of_jobs(job_id, old_job_id),
        Question("a job that waits", f"/v1/jobs/{waiting_id}"),
        Question("a job that has ended", f"/v1/jobs/{job_id}"),
        Question("events, first", f"/v1/jobs/{long_id}/events"),
        Question("events, deep", f"/v1/jobs/{long_id}/events?after=15000"),
        Question("artifacts", f"/v1/jobs/{job_id}/artifacts"),
        Question("candidates", f"/v1/jobs/{job_id}/candidates"),
        Question("models", f"/v1/models?{PAGES_OF_200}"),
        Question("models, deep", "/v1/models", deep["models"]),
        Question("datasets", "/v1/datasets"),
        Question("datasets, deep", "/v1/datasets?page_size=20", deep["datasets"]),
        Question("webhooks", "/v1/webhooks"),
        Question("deliveries", f"/v1/webhooks/{hook_id}/deliveries"),
        Question("deliveries, deep", f"/v1/webhooks/{hook_id}/deliveries?{PAGES_OF_200}", delivery_id),
        Question("audit", "/v1/audit"),
        Question("audit, deep", "/v1/audit", f"aud_{50_000:026}"),
        Question("audit of a small project", "/v1/audit", asker="small"),
        Question("audit of a small project, deep", "/v1/audit", f"aud_{50_000:026}", asker="small"),
        Question("keys", "/v1/keys"),
        Question("projects", "/v1/projects"),
        Question("organizations", "/v1/organizations"),
        *_pages(job_id, old_job_id, waiting_id),
    ]


def _lists_of_jobs(job_id: str, old_job_id: str) -> list[Question]:
    states = ("queued", "running", "paused", "succeeded", "expired", "rejected", "finalizing")
    return [
        Question("jobs, newest", "/v1/jobs"),
        Question("jobs, newest 200", f"/v1/jobs?{PAGES_OF_200}"),
        Question("jobs, deep", "/v1/jobs", job_id),
        Question("jobs, oldest", f"/v1/jobs?{PAGES_OF_200}", old_job_id),
        *(Question(f"jobs, {state}", f"/v1/jobs?state={state}") for state in states),
        Question("jobs, failed, deep", f"/v1/jobs?state=failed&{PAGES_OF_200}", job_id),
        Question("jobs, one label", "/v1/jobs?label=team=t3"),
        Question("jobs, one label, deep", "/v1/jobs?label=team=t3", job_id),
        Question("jobs, a rare label", "/v1/jobs?label=run=r13"),
        Question("jobs, two labels and a state", "/v1/jobs?label=team=t3&label=run=r13&state=succeeded"),
        Question("jobs of a small project", "/v1/jobs", asker="small"),
        Question("jobs of a small project, failed", "/v1/jobs?state=failed", asker="small"),
        Question("jobs of a small project, one label", "/v1/jobs?label=team=t3", asker="small"),
    ]


def _pages(job_id: str, old_job_id: str, waiting_id: str) -> list[Question]:
    states = ("queued", "paused", "failed", "finalizing")
    return [
        Question("page: overview", "/admin"),
        Question("page: jobs", "/admin/jobs"),
        Question("page: jobs, deep", f"/admin/jobs?before={job_id}"),
        Question("page: jobs, oldest", f"/admin/jobs?before={old_job_id}"),
        *(Question(f"page: jobs, {state}", f"/admin/jobs?state={state}") for state in states),
        Question("page: jobs, failed, deep", f"/admin/jobs?state=failed&before={job_id}"),
        Question("page: jobs by a model's name", "/admin/jobs?search=network-199"),
        Question("page: jobs by a name that none has", "/admin/jobs?search=nothing"),
        Question("page: jobs by an id's beginning", f"/admin/jobs?search={job_id[:12]}"),
        Question("page: a job that has ended", f"/admin/jobs/{job_id}"),
        Question("page: a job that waits", f"/admin/jobs/{waiting_id}"),
        Question("page: projects", "/admin/projects"),
        Question("page: projects, deep", f"/admin/projects?before=prj_{'10'.zfill(26)}"),
    ]


class Askers:
    """The clients: the operator, signed in to the dashboard, and a key of a small project alone."""

    def __init__(self, app: FastAPI, operator_key: str, small_key: str) -> None:
        self._keys = {"operator": operator_key, "small": small_key}
        transport = httpx2.ASGITransport(app=app)
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=120)

    async def sign_in(self) -> None:
        """Open the dashboard, as a browser does."""
        form = (await self._client.get("/admin/login")).text
        token = re.search(r'name="csrf" value="([^"]+)"', form)
        assert token is not None
        filled = {"csrf": token.group(1), "key": self._keys["operator"], "next": "/admin"}
        answer = await self._client.post("/admin/login", data=filled)
        assert answer.status_code == 303, answer.text[:300]

    async def ask(self, question: Question, path: str) -> httpx2.Response:
        """Ask; raise where the answer is not 200."""
        answer = await self._client.get(path, headers={"Authorization": f"Bearer {self._keys[question.asker]}"})
        if answer.status_code != 200:
            raise RuntimeError(f"{question.name}: {path} was answered with {answer.status_code}: {answer.text[:300]}")
        return answer

    async def path_of(self, question: Question) -> str:
        """Return the address, with the token of a deep page: that of the first page, with another row's id."""
        if question.deep_id is None:
            return question.path
        token = (await self.ask(question, question.path)).json()["next_page_token"]
        filters = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))[1]
        joint = "&" if "?" in question.path else "?"
        return f"{question.path}{joint}page_token={page_token(question.deep_id, filters)}"


async def ask_all(askers: Askers, asked: Sequence[Question], clock: Clock, rounds: int) -> list[dict[str, Any]]:
    """Ask everything in each round, and one round before that does not count; return a row for each question."""
    await askers.sign_in()
    paths = [await askers.path_of(question) for question in asked]
    times: defaultdict[str, Times] = defaultdict(Times)
    for turn in range(rounds + 1):
        for question, path in zip(asked, paths, strict=True):
            clock.milliseconds, began = 0.0, time.perf_counter()
            await askers.ask(question, path)
            if turn:
                times[question.name].answers.append((time.perf_counter() - began) * 1000)
                times[question.name].statements.append(clock.milliseconds)
    return slowest_first(times[question.name].row(question.name) for question in asked)


def slowest_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: -float(row["statements_ms_p95"]))
