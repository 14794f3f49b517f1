"""Lists in pages: opaque tokens over the id of the last row, so that a page costs the same however deep it lies."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import orjson
from fastapi import Query

from app.deps import ID_SHAPE
from app.errors import Problem
from core.db import Record

PageSize = Annotated[int, Query(ge=1, le=200)]
PageToken = Annotated[str | None, Query(max_length=400, description="`next_page_token` of the page before.")]


def page_token(last_id: str, filters: str) -> str:
    """Return the token of the page behind `last_id`; it holds only for the same filters."""
    return base64.urlsafe_b64encode(orjson.dumps([last_id, filters])).decode().rstrip("=")


def read_page_token(token: str, filters: str) -> str:
    """Return the id behind which the page begins. Raises `invalid-page-token`."""
    try:
        content = orjson.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise _invalid("It was cut or changed.") from error
    if not isinstance(content, list) or len(content) != 2 or not ID_SHAPE.fullmatch(str(content[0])):
        raise _invalid("It was cut or changed.")
    if content[1] != filters:
        raise _invalid("It belongs to a list with other filters.")
    return str(content[0])


def cut_page(rows: list[Record], page_size: int, filters: str) -> tuple[list[Record], str | None]:
    """Cut the row that was read beyond the page; return the page and the token of the next one, if there is one."""
    page = rows[:page_size]
    return page, page_token(page[-1]["id"], filters) if len(rows) > page_size else None


def page_object(name: str, items: list[dict[str, Any]], token: str | None) -> dict[str, Any]:
    return {name: items, "next_page_token": token}


def _invalid(reason: str) -> Problem:
    return Problem("invalid-page-token", f"page_token: {reason} Begin again without a page_token.")
