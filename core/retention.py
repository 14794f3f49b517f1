"""How long ended jobs are kept: as the settings say, unless a project or its organisation says otherwise."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from core.limits import in_force
from core.tables import Organization, Project


@dataclass(frozen=True)
class Retention:
    """So many days, for these projects, or for all but these."""

    days: int
    project_ids: tuple[str, ...]
    is_for_all_others: bool = False

    @property
    def max_age(self) -> timedelta:
        return timedelta(days=self.days)

    def covers(self, project_id: Any) -> ColumnElement[bool]:
        """Return the condition that a column of project ids is among them."""
        if not self.is_for_all_others:
            return project_id.in_(self.project_ids)  # type: ignore[no-any-return]  # a bare column is typed Any
        return project_id.not_in(self.project_ids) if self.project_ids else true()


def retentions(session: Session, default_days: int) -> list[Retention]:
    """Return every retention in force; each project is covered by exactly one."""
    days = in_force("retention_days")
    own = select(Project.id, days).join(Organization, Organization.id == Project.organization_id)
    by_days: dict[int, list[str]] = defaultdict(list)
    for project_id, found in session.execute(own.where(days.is_not(None)).order_by(Project.id)):
        by_days[found or default_days].append(project_id)
    special = tuple(project_id for found in by_days.values() for project_id in found)
    others = Retention(default_days, special, is_for_all_others=True)
    return [*(Retention(found, tuple(ids)) for found, ids in sorted(by_days.items())), others]
