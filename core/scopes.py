"""What a key may do: the scopes, the three older words that stand for many, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

DEFAULT_PROJECT_ID: Final = "prj_default"

READING: Final = frozenset({"jobs:read", "models:read", "webhooks:read"})
WRITING: Final = frozenset({"jobs:write", "models:write", "webhooks:write"})
ADMINISTERING: Final = frozenset({"keys:admin", "audit:read"})
ORGANIZATION_ADMIN: Final = "organization:admin"

BUNDLES: Final = {"read": READING, "write": WRITING, "admin": READING | WRITING | ADMINISTERING}
"""Words for many scopes: all that a project's keys needed before there were finer ones, and short to type."""

SCOPES: Final = (*sorted(READING | WRITING | ADMINISTERING), ORGANIZATION_ADMIN, *BUNDLES)

OPERATOR: Final = "operator"
"""No scope that can be asked for: what an admin of the first project is, who sees all organisations."""


def granted(scopes: Collection[str], project_id: str) -> frozenset[str]:
    """Return all that a key of a project with these scopes may do.

    `organization:admin` includes every scope in every project of the organisation; `admin` in the first project makes
    the operator. A key can give another only what is granted to itself, so that nobody climbs.
    """
    found = frozenset(scopes).union(*(BUNDLES.get(scope, ()) for scope in scopes))
    if project_id == DEFAULT_PROJECT_ID and "admin" in found:
        found |= {OPERATOR, ORGANIZATION_ADMIN}
    if ORGANIZATION_ADMIN in found:
        found |= {*BUNDLES, *BUNDLES["admin"]}
    return found - BUNDLES.keys()
