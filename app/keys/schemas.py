"""What an API key looks like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from app.words import Name
from engine.recipe import Strict

Scope = Literal["read", "write", "admin"]


class KeyRequest(Strict):
    """Make a key. It is shown in this one answer and never again."""

    name: Name
    scopes: list[Scope] = Field(default=["read", "write"], min_length=1, max_length=3)
    expires_at: AwareDatetime | None = None


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyView(KeyView):
    key: str = Field(description="Keep it now: it is stored as a keyed hash and cannot be shown again.")


class KeysList(BaseModel):
    keys: list[KeyView]
