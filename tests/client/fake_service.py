"""A service of one process and no disk that speaks the /v1 contract, and misbehaves when a test asks it to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sct_test_key"


@dataclass
class FakeUpload:
    size_bytes: int
    sha256: str
    content: bytes = b""

    @property
    def is_complete(self) -> bool:
        return len(self.content) == self.size_bytes and hashlib.sha256(self.content).hexdigest() == self.sha256


@dataclass
class FakeService:
    """Rows in dictionaries. Faults: `cuts` closes so many connections half-way, `busy` answers 503 so often."""

    uploads: dict[str, FakeUpload] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # by Idempotency-Key
    jobs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # the versions of a job, one a poll
    files: dict[str, bytes] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)  # of files that are no model
    fronts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    patched_bytes: int = 0
    cuts: int = 0
    busy: int = 0
    corrupt: bool = False
    url: str = ""

    def sent(self, method: str, part: str) -> int:
        """Count the requests of one kind that arrived."""
        return sum(1 for seen, path, _ in self.requests if seen == method and part in path)


@contextmanager
def serve(service: FakeService) -> Iterator[FakeService]:
    """Run the service on a free port of the loopback interface."""

    class Handler(_Handler):
        pass

    Handler.service = service
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    service: FakeService
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._dispatch()

    def do_POST(self) -> None:
        self._dispatch()

    def do_PATCH(self) -> None:
        self._dispatch()

    def do_DELETE(self) -> None:
        self._dispatch()

    def do_HEAD(self) -> None:
        self._dispatch()

    def _dispatch(self) -> None:
        service, path = self.service, self.path.partition("?")[0]
        service.requests.append((self.command, self.path, dict(self.headers)))
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._drain()
            return self._problem(401, "unauthorized", "The key is not known.")
        if service.busy:
            service.busy -= 1
            self._drain()
            return self._problem(503, "database-unavailable", "The database is away.", retryable=True)
        for method, pattern, action in ROUTES:
            if method == self.command and (match := re.fullmatch(pattern, path)):
                return action(self, *match.groups())
        self._drain()
        return self._problem(404, "not-found", f"There is nothing at {path}.")

    def _drain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _post_upload(self) -> None:
        body = json.loads(self._drain())
        key = self.headers["Idempotency-Key"]
        if key not in self.service.answers:
            upload = FakeUpload(body["size_bytes"], body["sha256"])
            known = [
                other for other in self.service.uploads.values() if other.is_complete and other.sha256 == upload.sha256
            ]
            upload.content = known[0].content if known else b""
            name = f"upl_{len(self.service.uploads)}"
            self.service.uploads[name] = upload
            self.service.answers[key] = {"id": name, "offset_bytes": len(upload.content), "complete": bool(known)}
        self._json(201, self.service.answers[key])

    def _head_upload(self, name: str) -> None:
        upload = self.service.uploads.get(name)
        if upload is None:
            return self._json(404, {})
        headers = {"Upload-Offset": str(len(upload.content)), "Upload-Complete": "?1" if upload.is_complete else "?0"}
        return self._answer(204, b"", headers)

    def _patch_upload(self, name: str) -> None:
        upload = self.service.uploads[name]
        length = int(self.headers["Content-Length"])
        if self.service.cuts:
            self.service.cuts -= 1
            upload.content += self.rfile.read(length // 2)
            self.service.patched_bytes += length // 2
            return self._cut()
        content = self._drain()
        if int(self.headers["Upload-Offset"]) != len(upload.content):
            return self._problem(409, "upload-offset-mismatch", f"The upload stands at {len(upload.content)}.")
        upload.content += content
        self.service.patched_bytes += len(content)
        if self.headers["Upload-Complete"] == "?1" and not upload.is_complete:
            return self._problem(422, "digest-mismatch", "The sha256 of what arrived is another one.")
        headers = {"Upload-Offset": str(len(upload.content)), "Upload-Complete": self.headers["Upload-Complete"]}
        return self._answer(204, b"", headers)

    def _post_file(self, kind: str) -> None:
        body = json.loads(self._drain())
        self._json(201, {"id": f"{kind[:3]}_{body['upload_id']}", "name": body["name"]})

    def _post_job(self) -> None:
        body, key = json.loads(self._drain()), self.headers["Idempotency-Key"]
        if key not in self.service.answers:
            self.service.submitted.append(body)
            self.service.answers[key] = self.service.jobs["job_1"][0]
        if self.service.cuts:
            self.service.cuts -= 1
            return self._cut()
        return self._json(202, self.service.answers[key])

    def _get_job(self, name: str) -> None:
        versions = self.service.jobs.get(name)
        if versions is None:
            return self._problem(404, "not-found", f"There is no job {name}.")
        job = versions[0] if len(versions) == 1 else versions.pop(0)
        return self._json(200, job, {"ETag": f'"{job["version"]}"'})

    def _list_jobs(self) -> None:
        self._json(200, {"jobs": [versions[-1] for versions in self.service.jobs.values()], "next_page_token": None})

    def _cancel(self, name: str) -> None:
        self._drain()
        self.service.jobs[name] = [self.service.jobs[name][-1] | {"state": "cancelled"}]
        self._json(202, self.service.jobs[name][0])

    def _act(self, name: str, action: str) -> None:
        self._drain()
        after = {"pause": "paused", "resume": "queued", "retry": "submitted"}[action]
        self.service.jobs[name] = [self.service.jobs[name][-1] | {"state": after}]
        self._json(202, self.service.jobs[name][0])

    def _delete(self, name: str) -> None:
        self._drain()
        del self.service.jobs[name]
        file = {"name": "model.onnx", "role": "model", "sha256": "0" * 64, "size_bytes": 3}
        self._json(200, {"id": "del_1", "job_id": name, "files": [file]})

    def _log(self, name: str) -> None:
        self._answer(200, b"all that was told \x1b[2Jof it\n", {"Content-Type": "text/plain"})

    def _compare(self, name: str, other: str) -> None:
        figure = {"name": "latency_ratio", "first": 0.7, "second": 0.8, "difference": 0.1, "is_sure": True}
        units = {"cut_in_first_only": ["a"], "cut_in_second_only": []}
        recipe = [{"key": "seed", "first": 0, "second": 5}]
        found = {"figures": [figure], "recipe": recipe, "units": units, "warnings": ["on different models"]}
        self._json(200, found)

    def _report(self, name: str) -> None:
        if "text/html" in self.headers.get("Accept", ""):
            return self._answer(200, b"<!doctype html>", {"Content-Type": "text/html"})
        return self._json(200, self.service.reports[name])

    def _candidates(self, name: str) -> None:
        self._json(200, {"candidates": self.service.fronts[name]})

    def _artifacts(self, name: str) -> None:
        entries = [
            {
                "id": f"art_{file}",
                "name": file,
                "role": self.service.roles.get(file, "model"),
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
            }
            for file, content in self.service.files.items()
        ]
        self._json(200, {"artifacts": entries})

    def _content(self, file: str) -> None:
        content = self.service.files[file]
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        part = bytearray(content[start:])
        if self.service.corrupt:
            part[0] ^= 1
        status, headers = (
            (206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}) if start else (200, {})
        )
        if not self.service.cuts:
            return self._answer(status, bytes(part), headers)
        self.service.cuts -= 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[: len(part) // 2])
        return self._cut()

    def _cut(self) -> None:
        """Close the connection without an answer, or in the middle of one."""
        self.wfile.flush()
        self.close_connection = True

    def _problem(self, status: int, code: str, detail: str, *, retryable: bool = False) -> None:
        body = {
            "title": code,
            "status": status,
            "code": code,
            "detail": detail,
            "retryable": retryable,
            "request_id": "req_1",
        }
        self._json(status, body)

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)


ROUTES = [
    ("POST", r"/v1/uploads", _Handler._post_upload),
    ("HEAD", r"/v1/uploads/(\w+)", _Handler._head_upload),
    ("PATCH", r"/v1/uploads/(\w+)", _Handler._patch_upload),
    ("POST", r"/v1/(models|datasets)", _Handler._post_file),
    ("POST", r"/v1/jobs", _Handler._post_job),
    ("GET", r"/v1/jobs", _Handler._list_jobs),
    ("GET", r"/v1/jobs/(\w+)", _Handler._get_job),
    ("POST", r"/v1/jobs/(\w+)/cancel", _Handler._cancel),
    ("POST", r"/v1/jobs/(\w+)/(pause|resume|retry)", _Handler._act),
    ("DELETE", r"/v1/jobs/(\w+)", _Handler._delete),
    ("GET", r"/v1/jobs/(\w+)/log", _Handler._log),
    ("GET", r"/v1/jobs/(\w+)/compare/(\w+)", _Handler._compare),
    ("GET", r"/v1/jobs/(\w+)/report", _Handler._report),
    ("GET", r"/v1/jobs/(\w+)/artifacts", _Handler._artifacts),
    ("GET", r"/v1/jobs/(\w+)/candidates", _Handler._candidates),
    ("GET", r"/v1/artifacts/art_([\w./]+)/content", _Handler._content),
]
