"""Whether a recipe fits the network that it is for, as far as an examination tells: asked before a job is written."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.errors import Problem
from core.db import Query
from core.tables import StoredModel
from engine.errors import RecipeInvalid
from engine.input_form import fitting_form
from engine.inspection import image_input
from engine.recipe import Recipe

# Of all that an examination found, which may be long, only this.
_INPUTS: Final = Query(
    select(StoredModel.analysis["inputs"].label("inputs")).where(
        StoredModel.project_id == bindparam("project_id"), StoredModel.id == bindparam("model_id")
    )
)


def require_fitting(session: Session, project_id: str, model_id: str, recipe: Recipe) -> None:
    """Raise where the recipe's preprocessing does not fit the network; a network that is not known yet will do.

    So will one that the recipe names itself: a worker looks at it.
    """
    if recipe.architecture is not None:
        return
    row = _INPUTS(project_id=project_id, model_id=model_id).one(session)
    takes = image_input(row or {})
    try:
        if takes is not None:
            fitting_form(takes, recipe.preprocess)
    except RecipeInvalid as error:
        raise _unfit(error) from error


def _unfit(error: RecipeInvalid) -> Problem:
    pointer = "/recipe/" + str(error.where).replace(".", "/")
    errors = [{"pointer": pointer, "code": error.code, "detail": error.message}]
    return Problem("validation-failed", f"{pointer}: {error.message}", errors=errors)
