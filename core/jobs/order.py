"""Who is next: the project with the fewest running jobs, and of equals the one that was served longest ago.

Inside a project, priority and then age decide. The claim and the place in the queue that a client sees follow one rule,
so that the one is what the other says: in each lane (a device, or the inspection) a job that stands behind k others of
its project, of which r run, is served in round r + k. In a round, projects that have more running come first, for those
with fewer have just been served in the round before; then whoever was served longest ago. `docs/decisions/0025`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from core.db import insert_if_absent
from core.jobs.forecast import price_in_rows
from core.limits import DEVICES, RUNNING, WAITING, in_force
from core.tables import Dataset, FileState, Job, JobState, Organization, Project, StoredModel, Turn, UtcDateTime

INSPECTION: Final = "inspect"
"""The lane in which models are looked at, whatever device their jobs are for."""

NEVER: Final = literal(datetime(2000, 1, 1, tzinfo=UTC), UtcDateTime)
AHEAD: Final = ("ahead", "ahead_seconds", "ahead_late_seconds")
"""What `numbered` selects beside a job's id: how many jobs of its project stand ahead of it, and what they take."""

_lane_of_job: Final = case((Job.state == JobState.SUBMITTED, INSPECTION), else_=Job.device)


def next_in_turn(session: Session, waiting: Select[Job]) -> Job | None:
    """Return the job whose turn it is among those that `waiting` selects, locked; None where all must wait.

    One claim at a time: two that looked at once would both serve the same project. What another transaction has
    locked is passed over.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(7283401)"))
    for project_id, lane in session.execute(_projects_in_turn(waiting)):
        mine = waiting.where(Job.project_id == project_id, _lane_of_job == lane).order_by(Job.priority.desc(), Job.id)
        job = session.scalars(mine.limit(1).with_for_update(skip_locked=True, of=Job)).first()
        if job is not None:
            return job
    return None


def note_turn(session: Session, job: Job, now: datetime) -> None:
    """Write that the job's project was served in its lane; called before the job leaves its waiting state."""
    note_served(session, INSPECTION if job.state == JobState.SUBMITTED else job.device, job.project_id, now)


def note_served(session: Session, lane: str, project_id: str, now: datetime) -> None:
    """Write that a project was served in a lane.

    Two that are served within one tick of the clock keep their order: the second is noted a moment later.
    """
    last = session.scalar(select(func.max(Turn.served_at)).where(Turn.lane == lane))
    served_at = now if last is None else max(now, last + timedelta(microseconds=1))
    insert_if_absent(session, Turn, lane=lane, project_id=project_id, served_at=served_at)
    session.get_one(Turn, (lane, project_id)).served_at = served_at


def files_are_known() -> ColumnElement[bool]:
    """Ask whether a row of `jobs` waits for no examination of its model or images: all are done, or one said no.

    What they found need not be found again, and what is of no use is not waited for.
    """
    files = ((StoredModel, Job.model_id), (Dataset, Job.dataset_id))
    examined = (_no_file(table, file_id, FileState.VALIDATING) for table, file_id in files)
    refused = (~_no_file(table, file_id, FileState.REJECTED) for table, file_id in files)
    return or_(and_(*examined), *refused)


def _no_file(
    table: type[StoredModel | Dataset], file_id: InstrumentedAttribute[Any], state: FileState
) -> ColumnElement[bool]:
    return ~exists().where(table.id == file_id, table.state == state)


def queue_position(numbers: CTE | None = None) -> ColumnElement[Any]:
    """Return the place of a row of `jobs` among all that wait for its device, 1 for the next; null once it runs.

    With `numbers`, which the select has to join, a project's jobs were counted once for all rows of a list.

    Before a job stand those of its own project that are served first and, of every other project, those with an
    earlier round or the same round and an earlier place. Jobs over their project's limit stand behind all others.
    """
    standings = _standings()
    mine = and_(standings.c.project_id == Job.project_id, standings.c.device == Job.device)
    ahead = _jobs_ahead_in_the_project() if numbers is None else numbers.c.ahead
    row = (Job,) if numbers is None else (Job, numbers)
    # The limit keeps databases from merging this row into the query below and counting anew for each project.
    ours = select(*standings.c, ahead.label("ahead")).where(mine).correlate(*row).limit(1).subquery("ours")
    theirs = standings.alias("theirs")
    another = and_(theirs.c.device == ours.c.device, theirs.c.project_id != ours.c.project_id)
    earlier = ours.c.running + ours.c.ahead - theirs.c.running + case((theirs.c.place < ours.c.place, 1), else_=0)
    earlier = _Least(theirs.c.waiting, _Most(earlier, literal(0)))
    is_free = ours.c.ahead < ours.c.room
    before = case((is_free, _Least(theirs.c.room, earlier)), else_=_Most(theirs.c.room, earlier))
    place: ColumnElement[Any] = (  # PostgreSQL adds up to a decimal
        select(cast(1 + func.max(ours.c.ahead) + func.coalesce(func.sum(before), 0), Integer))
        .select_from(ours.outerjoin(theirs, another))
        .correlate(*row)
        .scalar_subquery()
    )
    if numbers is None:
        place = case((_is_alone(), 1 + ahead), else_=place)
    return case((Job.state.in_(WAITING), place)).label("queue_position")


def _is_alone() -> ColumnElement[bool]:
    """Ask whether no other project waits for the device: then only the project's own order counts, which is cheap.

    Smaller and greater are ranges of the index; unequal is none.
    """
    other = aliased(Job)
    waits = and_(other.state.in_(WAITING), other.device == Job.device)
    sides = (other.project_id < Job.project_id, other.project_id > Job.project_id)
    return and_(*(~exists().where(waits, side).correlate(Job) for side in sides))


def numbered(project_id: ColumnElement[str], page: CTE) -> CTE:
    """Select how many jobs of its project stand ahead of each that waits, and their prices, by its id.

    None are selected where no row of a page waits.

    To be joined: a database looks a row up in it then, and in a subquery it reads all of it anew for each row.
    """
    # One window for all, so that a database goes through it once.
    sooner: Any = {"partition_by": Job.device, "order_by": (Job.priority.desc(), _Bytes(Job.id)), "rows": (None, -1)}
    sums = (func.coalesce(func.sum(price).over(**sooner), 0.0) for price in price_in_rows())
    windows: list[ColumnElement[Any]] = [func.count().over(**sooner), *sums]
    counted = [column.label(name) for name, column in zip(AHEAD, windows, strict=True)]
    mine = (Job.state.in_(WAITING), Job.device.in_(DEVICES), Job.project_id == project_id)
    is_asked = exists().where(page.c.state.in_(WAITING))
    return _once(select(Job.id, *counted).where(*mine, is_asked).cte("numbers"))


class _Least(FunctionElement[int]):
    """The smaller of two numbers; what is null beside a number does not count."""

    type = Integer()
    inherit_cache = True
    words: ClassVar = {"postgresql": "least", "sqlite": "min"}


class _Bytes(FunctionElement[str]):
    """An id to be sorted by its bytes: in the order of a language, which is the same, that takes five times as long."""

    type = String()
    inherit_cache = True


@compiles(_Bytes)
def _by_bytes(element: _Bytes, compiler: SQLCompiler, **given: Any) -> str:
    said = compiler.process(element.clauses, **given)
    return f'{said} COLLATE "C"' if compiler.dialect.name == "postgresql" else said


class _Most(_Least):
    """The larger of two numbers."""

    inherit_cache = True
    words: ClassVar = {"postgresql": "greatest", "sqlite": "max"}


@compiles(_Least)
def _in_the_words_of(element: _Least, compiler: SQLCompiler, **given: Any) -> str:
    return f"{element.words[compiler.dialect.name]}({compiler.process(element.clauses, **given)})"


def _projects_in_turn(waiting: Select[Job]) -> Select[str, str]:
    """Select project and lane of all that wait and may be served, in the order of their turns."""
    found = waiting.with_only_columns(Job.project_id, _lane_of_job.label("lane"), func.min(Job.id).label("oldest"))
    found_in = found.group_by(Job.project_id, _lane_of_job).subquery()
    held = aliased(Job)
    inspected = _counted(held.project_id == found_in.c.project_id, held.state == JobState.VALIDATING)
    run = _counted(held.project_id == found_in.c.project_id, held.state.in_(RUNNING), held.device == found_in.c.lane)
    running = case((found_in.c.lane == INSPECTION, inspected), else_=run)
    limit = case((found_in.c.lane == INSPECTION, None), else_=in_force("jobs_running"))
    turns = (
        select(found_in.c.project_id, found_in.c.lane)
        .join(Project, Project.id == found_in.c.project_id)
        .join(Organization, Organization.id == Project.organization_id)
        .outerjoin(Turn, and_(Turn.lane == found_in.c.lane, Turn.project_id == found_in.c.project_id))
    )
    may = or_(limit.is_(None), running < limit)
    return turns.where(may).order_by(running, func.coalesce(Turn.served_at, NEVER), found_in.c.oldest)


def _standings() -> CTE:
    """Select, of each project and device, how many jobs wait and run, how many more may run, and its place."""
    counted = _counted_by_project()
    limit, c = in_force("jobs_running"), counted.c
    free = case((limit.is_(None), c.waiting), else_=_Most(limit - c.running, literal(0)))
    order = (c.running.desc(), func.coalesce(Turn.served_at, NEVER), c.oldest)
    standings = (
        select(
            c.project_id,
            c.device,
            c.waiting,
            c.running,
            _Least(c.waiting, free).label("room"),
            func.row_number().over(partition_by=c.device, order_by=order).label("place"),
        )
        .join(Project, Project.id == c.project_id)
        .join(Organization, Organization.id == Project.organization_id)
        .outerjoin(Turn, and_(Turn.lane == c.device, Turn.project_id == c.project_id))
    )
    return _once(standings.cte("standings"))


def _counted_by_project() -> CTE:
    """Count the jobs of each project and device that wait and run; by state first, as `jobs_to_claim` lies."""
    by_state = (
        select(
            Job.state,
            Job.device,
            Job.project_id,
            func.count().label("jobs"),
            func.min(_Bytes(Job.id)).label("oldest"),
        )
        .where(Job.state.in_((*WAITING, *RUNNING)), Job.device.in_(DEVICES))
        .group_by(Job.state, Job.device, Job.project_id)
        .subquery("by_state")
    )
    c = by_state.c
    waits, runs = c.state.in_(WAITING), c.state.in_(RUNNING)
    counted = select(
        c.project_id,
        c.device,
        cast(func.sum(case((waits, c.jobs), else_=0)), Integer).label("waiting"),
        cast(func.sum(case((runs, c.jobs), else_=0)), Integer).label("running"),
        func.min(case((waits, c.oldest))).label("oldest"),
    )
    return counted.group_by(c.project_id, c.device).cte("counted")


def _jobs_ahead_in_the_project() -> ColumnElement[int]:
    ahead = aliased(Job)
    mine = and_(ahead.device == Job.device, ahead.project_id == Job.project_id, ahead.state.in_(WAITING))
    # Two counts, for each is a range of the index: with `or`, every row would have to be looked at.
    sooner = (ahead.priority > Job.priority, and_(ahead.priority == Job.priority, ahead.id < Job.id))
    counts = [select(func.count()).where(mine, one).correlate(Job).scalar_subquery() for one in sooner]
    return counts[0] + counts[1]


def _once(rows: CTE) -> CTE:
    """Have the database make these rows once, and not anew for each row that reads them."""
    return rows.prefix_with("MATERIALIZED")


def _counted(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).where(*conditions).scalar_subquery()
