"""Reads a page's markup, and the row behind it."""

from __future__ import annotations

from html.parser import HTMLParser

from starlette.testclient import TestClient

from app.dashboard import Page
from app.services import Services
from core.tables import Job


class _Tags(HTMLParser):
    """Collects the tags of a page, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))


def tags_of(html: str) -> list[tuple[str, dict[str, str]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.seen


def links_of(html: str) -> list[str]:
    return [attributes["href"] for name, attributes in tags_of(html) if name == "a"]


def found(client: TestClient, query: str) -> list[str]:
    links = links_of(client.get("/admin/jobs" + query).text)
    return [link.removeprefix("/admin/jobs/") for link in links if link.startswith("/admin/jobs/job_")]


def state_of(services: Services, job_id: str) -> str:
    with services.database.transaction() as session:
        return session.get_one(Job, job_id).state


def page_of(page: Page, job_id: str) -> str:
    """Return a page's address, filled in."""
    return page.path.format(job_id=job_id)
