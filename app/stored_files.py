"""What models and datasets have in common: a name for an uploaded file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, create_model
from sqlalchemy import ColumnElement, bindparam, delete, exists, select
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Reader, Writer, check_id
from app.errors import Problem, not_found
from app.idempotency import Answer, once
from app.openapi import IDEMPOTENT, ProblemView, problems
from app.pages import PageSize, PageToken, cut_page, page_object, read_page_token
from app.words import Name
from core.db import Query, Record, utc_now
from core.examinations import ask
from core.ids import new_id
from core.tables import Dataset, Examination, FileState, Job, StoredModel, Upload
from engine.diagnosis import Survey
from engine.recipe import Architecture, Strict


class FromUpload(Strict):
    """Give an upload a name; without one it keeps its file's."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"upload_id": "upl_01k9x3vt5h7r8e2m4q6s0w1y3z", "name": "Street scenes"}]}
    )

    upload_id: Annotated[str, Field(max_length=64)]
    name: Name | None = None


class ModelFromUpload(FromUpload):
    """Name a network. A file of bare weights is examined with its architecture, or else by the jobs that name one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"upload_id": "upl_01k9x3vt5h7r8e2m4q6s0w1y3z", "name": "ResNet of the line"}]}
    )

    architecture: Architecture | None = None


class StoredFileView(BaseModel):
    """An uploaded file under its name. `error` says why a rejected one is of no use, and what to do."""

    id: str
    name: str
    sha256: str
    size_bytes: int
    state: FileState
    error: ProblemView | None
    created_at: datetime


class ModelView(StoredFileView):
    """An uploaded network. Its analysis, once it is ready or rejected, is at `/v1/models/{id}/analysis`."""

    architecture: Architecture | None


class DatasetView(StoredFileView):
    """An uploaded set of images. `summary` says what is in it, once it is ready."""

    summary: Survey | None


class Kind(NamedTuple):
    """One kind of stored file: its words, its table, and how a job refers to it."""

    word: str
    plural: str
    prefix: str
    table: type[StoredModel] | type[Dataset]
    asked: type[FromUpload]
    view: type[StoredFileView]
    in_use: ColumnElement[bool]


MODELS = Kind("model", "models", "mod", StoredModel, ModelFromUpload, ModelView, Job.model_id == bindparam("file_id"))
DATASETS = Kind("dataset", "datasets", "dat", Dataset, FromUpload, DatasetView, Job.dataset_id == bindparam("file_id"))


def _whether_usable(table: type[StoredModel] | type[Dataset]) -> Query:
    mine = table.project_id == bindparam("project_id"), table.id == bindparam("file_id")
    return Query(select(table.id, table.state, table.error).where(*mine))


_USABLE = {kind: _whether_usable(kind.table) for kind in (MODELS, DATASETS)}


def stored_files_router(kind: Kind) -> APIRouter:
    """Return the five endpoints of one kind."""
    router = APIRouter(prefix=f"/v1/{kind.plural}", tags=[kind.plural])
    _add_writing(router, kind)
    _add_reading(router, kind)
    return router


def _add_writing(router: APIRouter, kind: Kind) -> None:
    async def create(request: Request, tenant: Writer, asked: FromUpload) -> Response:
        def work(session: Session, project_id: str) -> Answer:
            view = _create(session, project_id, kind, asked)
            return Answer(201, view, f"/v1/{kind.plural}/{view['id']}")

        response = await once(tenant, request, asked.model_dump(), work)
        tenant.services.job_written.set()  # an examination waits for a worker
        return response

    async def remove(file_id: str, tenant: Writer) -> Response:
        check_id(kind.word, file_id)
        await tenant.write(lambda session, project_id: _remove(session, project_id, kind, file_id))
        return Response(status_code=204)

    path, identifier = _of_one(kind)
    create.__annotations__["asked"] = kind.asked  # each kind has its own body, which FastAPI reads here
    remove.__annotations__["file_id"] = identifier
    made: Any = {"status_code": 201, "response_model": kind.view, "openapi_extra": IDEMPOTENT}
    refused = problems("not-found", "upload-failed", "upload-incomplete")
    router.post("", name=f"create_{kind.word}", description=f"Name a {kind.word}.", responses=refused, **made)(create)
    gone: Any = {"status_code": 204, "responses": problems("not-found", "state-conflict")}
    router.delete(path, name=f"delete_{kind.word}", description=f"Delete a {kind.word}.", **gone)(remove)


def _add_reading(router: APIRouter, kind: Kind) -> None:
    one, page = _statements(kind)
    shown_each: Any = list[kind.view]  # type: ignore[name-defined]  # each kind has its own view
    fields: dict[str, Any] = {kind.plural: (shown_each, ...), "next_page_token": (str | None, ...)}
    listing: Any = create_model(f"{kind.plural.title()}Page", **fields)

    async def list_page(tenant: Reader, page_size: PageSize = 50, page_token: PageToken = None) -> Response:
        before = f"{kind.prefix}_~" if page_token is None else read_page_token(page_token, kind.plural)
        rows = await tenant.fetch_all(page, before=before, limit=page_size + 1)
        shown, following = cut_page(rows, page_size, kind.plural)
        return json_answer(page_object(kind.plural, [_view(kind, row) for row in shown], following))

    async def get(file_id: str, tenant: Reader) -> Response:
        return json_answer(_view(kind, await tenant.get(one, kind.word, file_id, file_id=file_id)))

    path, get.__annotations__["file_id"] = _of_one(kind)
    listed: Any = {"response_model": listing, "responses": problems("invalid-page-token")}
    router.get("", name=f"list_{kind.plural}", description=f"List {kind.plural}.", **listed)(list_page)
    shown: Any = {"response_model": kind.view, "responses": problems("not-found")}
    router.get(path, name=f"get_{kind.word}", description=f"Show a {kind.word}.", **shown)(get)


def _of_one(kind: Kind) -> tuple[str, Any]:
    """Return the path of one file of a kind, and what its endpoints are given of it: each kind has its own word."""
    return f"/{{{kind.word}_id}}", Annotated[str, Path(alias=f"{kind.word}_id")]


def _statements(kind: Kind) -> tuple[Query, Query]:
    """Return the statements that read one file and a page of them, newest first."""
    table = kind.table
    columns = [table.__table__.columns[name] for name in kind.view.model_fields]
    mine = table.project_id == bindparam("project_id")
    newest_first = select(*columns).where(mine, table.id < bindparam("before")).order_by(table.id.desc())
    return (
        Query(select(*columns).where(mine, table.id == bindparam("file_id"))),
        Query(newest_first.limit(bindparam("limit"))),
    )


def _create(session: Session, project_id: str, kind: Kind, asked: FromUpload) -> Record:
    check_id("upload", asked.upload_id)
    upload = session.scalars(
        select(Upload).where(Upload.id == asked.upload_id, Upload.project_id == project_id)
    ).first()
    if upload is None:
        raise not_found("upload", asked.upload_id)
    if upload.error is not None:
        raise Problem("upload-failed", f"{upload.error['detail']} Make a new upload.", reason=upload.error)
    if upload.sha256 is None or upload.size_bytes is None:
        size = "an unknown number of" if upload.size_bytes is None else upload.size_bytes
        found = f"Upload {upload.id} has {upload.offset_bytes} of {size} bytes."
        raise Problem("upload-incomplete", f"{found} Send the rest with PATCH first.", offset_bytes=upload.offset_bytes)
    file = kind.table(
        id=new_id(kind.prefix),
        project_id=project_id,
        name=asked.name or upload.filename,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        state=FileState.VALIDATING,
        created_at=utc_now(session),
        **_own_columns(asked),
    )
    session.add(file)
    session.flush()
    _have_it_examined(session, file)
    return {name: getattr(file, name) for name in kind.view.model_fields}


def _own_columns(asked: FromUpload) -> Record:
    """Return what this kind of file has beside a name and bytes."""
    return asked.model_dump(mode="json", exclude={"upload_id", "name"})


def _have_it_examined(session: Session, file: StoredModel | Dataset) -> None:
    if isinstance(file, Dataset):
        ask(session, file.project_id, "dataset", dataset_id=file.id)
    else:
        recipe = {"architecture": file.architecture} if file.architecture else {}
        ask(session, file.project_id, "model", model_id=file.id, recipe=recipe)


def require_usable(session: Session, project_id: str, model_id: str, dataset_id: str | None) -> None:
    """Raise unless the project has both files and neither was rejected; one that is still validating will do."""
    for kind, identifier in ((MODELS, model_id), (DATASETS, dataset_id)):
        if identifier is not None:
            check_id(kind.word, identifier)
            file = _USABLE[kind](project_id=project_id, file_id=identifier).one(session)
            if file is None:
                raise not_found(kind.word, identifier)
            if file["state"] == FileState.REJECTED:
                raise _rejected(kind, file)


def _rejected(kind: Kind, file: Record) -> Problem:
    """Say with the refusal why the file is of no use: what the engine said of it."""
    why = file["error"] or {}
    detail = f"{kind.word.capitalize()} {file['id']} was rejected: {why.get('detail', 'no reason is known')}"
    return Problem(f"{kind.word}-rejected", detail, reason=why.get("code"), where=why.get("where"))


def _remove(session: Session, project_id: str, kind: Kind, file_id: str) -> None:
    if session.scalar(select(exists().where(kind.in_use, Job.project_id == project_id)), {"file_id": file_id}):
        message = f"Jobs refer to {kind.word} {file_id}. Delete those jobs first (DELETE /v1/jobs/{{id}})."
        raise Problem("state-conflict", message)
    table = kind.table
    about_it = Examination.model_id if kind is MODELS else Examination.dataset_id
    session.execute(delete(Examination).where(about_it == file_id, Examination.project_id == project_id))
    removed = session.execute(
        delete(table).where(table.id == file_id, table.project_id == project_id).returning(table.id)
    )
    if removed.first() is None:
        raise not_found(kind.word, file_id)


def _view(kind: Kind, row: Record) -> Record:
    return {name: row[name] for name in kind.view.model_fields}
