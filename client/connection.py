"""One HTTP connection to the service: the key, the retries with back-off, and problems as exceptions."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import httpx2

from client.errors import Refused, ServerUnreachable, UsageError
from client.patience import Patience
from client.problem import Problem, read_problem

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
FIRST_CONTACT_SECONDS = 5.0  # a wrong address should be told soon; only a server that has answered is waited for


class Connection:
    """Send requests to one server. `on_trouble` hears, in a sentence, why something is tried again."""

    def __init__(
        self,
        server: str,
        key: str,
        *,
        patience_seconds: float = 120.0,
        on_trouble: Callable[[str], None] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self._patience_seconds = patience_seconds
        self._has_answered = False
        self._on_trouble = on_trouble or (lambda _message: None)
        self._http = httpx2.Client(
            base_url=_checked_url(self.server),
            headers={"Authorization": f"Bearer {_checked_key(key)}", "User-Agent": "secateur-client"},
            timeout=TIMEOUT,
            trust_env=not _is_loopback(
                self.server
            ),  # a proxy of the environment cannot reach this machine's own server
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def new_patience(self) -> Patience:
        limit_seconds = self._patience_seconds
        return Patience(limit_seconds if self._has_answered else min(limit_seconds, FIRST_CONTACT_SECONDS))

    def post(self, path: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> httpx2.Response:
        """Post JSON so that it happens once, however often it must be sent."""
        key = idempotency_key or uuid.uuid4().hex
        return self.request("POST", path, json=body, headers={"Idempotency-Key": key})

    def post_once(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        """Post JSON that must not be sent twice; where no answer comes, it is not known whether it happened."""
        try:
            response = self.send_once("POST", path, json=body)
        except httpx2.TransportError as error:
            raise ServerUnreachable(
                f"No answer came: {str(error) or type(error).__name__}.",
                where=self.server,
                what_to_do="Look whether it has happened before you ask again.",
            ) from error
        if response.status_code >= 400:
            raise Refused(problem_of(response))
        return response

    def request(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        """Send until an answer comes that trying again cannot better; raise Refused where that answer is a problem.

        Only for what may be sent twice: reads, deletions, and posts with an Idempotency-Key.
        """
        patience = self.new_patience()
        while True:
            try:
                response = self.send_once(method, path, **arguments)
            except httpx2.TransportError as error:
                self.pause(patience, error)
                continue
            if response.status_code < 400:
                return response
            self.pause_for(patience, response)

    def pages(self, path: str, name: str, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what a list holds under this name, fetching pages as they are needed."""
        asked = dict(parameters)
        while True:
            page = self.request("GET", path, params=asked).json()
            yield from page[name]
            if not page.get("next_page_token"):
                return
            asked["page_token"] = page["next_page_token"]

    def send_once(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        response = self._http.request(method, path, **arguments)
        self._has_answered = True
        return response

    def put_elsewhere(self, url: str, content: bytes) -> httpx2.Response:
        """Put bytes to an address of the store's; the key is not sent there."""
        return httpx2.put(url, content=content, timeout=TIMEOUT, trust_env=not _is_loopback(url))

    def stream_once(self, path: str, headers: Mapping[str, str]) -> AbstractContextManager[httpx2.Response]:
        """Open a download; a redirect to the storage is followed, and the key is not sent there."""
        return self._http.stream("GET", path, headers=dict(headers), follow_redirects=True)

    def pause(self, patience: Patience, error: httpx2.TransportError) -> None:
        """Wait before the next try; raise ServerUnreachable when the patience is used up."""
        reason = str(error) or type(error).__name__
        if not self._waited(patience, reason):
            raise ServerUnreachable(
                f"No answer for {patience.limit_seconds:.0f} seconds; the last try ended with: {reason}.",
                where=self.server,
                what_to_do="Check that the service runs (make serve) and that --server or SECATEUR_SERVER names it.",
            ) from error

    def pause_for(
        self, patience: Patience, response: httpx2.Response, *, healed_by_asking: frozenset[int] = frozenset()
    ) -> None:
        """Wait out an answer that asks for patience; raise Refused for any other, and when the patience is used up."""
        problem = problem_of(response)
        is_worth_it = _is_passing(problem) or problem.status in healed_by_asking
        if not is_worth_it or not self._waited(patience, problem.what, retry_after_seconds(response)):
            raise Refused(problem)

    def _waited(self, patience: Patience, reason: str, at_least_seconds: float = 0.0) -> bool:
        if not patience.is_tried:
            self._on_trouble(f"Waiting for {self.server}: {reason}")
        return patience.wait(at_least_seconds)


def problem_of(response: httpx2.Response) -> Problem:
    """Read the problem that an answer carries; one without (a proxy's page) is described by its status."""
    try:
        value = response.json()
    except ValueError:
        value = None
    return read_problem(value, status=response.status_code, fallback=response.reason_phrase or "No reason was given.")


def retry_after_seconds(response: httpx2.Response) -> float:
    """Return the server's wish in seconds; a date, or nothing, is no wish."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _is_passing(problem: Problem) -> bool:
    """Tell whether waiting may help; a full disk is for a person to see to, who then runs the command again."""
    return problem.status in RETRIED_STATUSES or (problem.retryable and problem.code != "storage-full")


def _checked_key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("No key, or one with characters that no key has.", what_to_do="Set --key or SECATEUR_KEY.")
    return key


def _checked_url(server: str) -> str:
    if not server.startswith(("http://", "https://")):
        raise UsageError(
            f"'{server}' is not an http:// or https:// address.", what_to_do="Set --server or SECATEUR_SERVER."
        )
    return server


def _is_loopback(server: str) -> bool:
    host = httpx2.URL(server).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
