"""What an API key looks like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.words import Name
from engine.recipe import Strict

Scope = Literal[
    "jobs:read",
    "jobs:write",
    "models:read",
    "models:write",
    "webhooks:read",
    "webhooks:write",
    "keys:admin",
    "audit:read",
    "organization:admin",
    "read",
    "write",
    "admin",
]
SCOPES_DESCRIPTION = (
    "`models` are uploads, models and datasets; `jobs` are jobs, artifacts and estimates. `read` and `write` are all "
    "that end in them, `admin` is all of a project, `organization:admin` is all of an organisation."
)


class KeyRequest(Strict):
    """Make a key. It is shown in this one answer and never again. It can do no more than the key that makes it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ci", "scopes": ["models:write", "jobs:write", "jobs:read"]}]}
    )

    name: Name
    scopes: list[Scope] = Field(
        default=["read", "write"], min_length=1, max_length=12, description=SCOPES_DESCRIPTION, examples=[["jobs:read"]]
    )
    expires_at: AwareDatetime | None = None


class KeyView(BaseModel):
    """A key without its secret. `last_used_at` is written about once a minute."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKeyView(KeyView):
    key: str = Field(description="Keep it now: it is stored as a keyed hash and cannot be shown again.")


class KeysList(BaseModel):
    keys: list[KeyView]
