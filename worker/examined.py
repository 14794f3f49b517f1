"""What the examinations of a job's files say of the job already, so that nobody has to look again. Starts no engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from core import jobs
from core.problems import from_engine
from core.tables import Dataset, FileState, StoredModel
from engine.errors import RecipeInvalid
from engine.input_form import fitting_form
from engine.inspection import InspectedTensor, applicability, image_input
from engine.recipe import METHODS, Preprocess
from worker.workplace import Workplace

Outcome = Callable[[Session], object]


def outcome_known(place: Workplace, claim: jobs.Claim) -> Outcome | None:
    """Return what the examinations of model and images say of this job, None where they leave it open."""
    with place.database.transaction() as session:
        model = session.get_one(StoredModel, claim.model_id)
        dataset = session.get_one(Dataset, claim.dataset_id) if claim.dataset_id else None
        for file in (model, dataset):
            if file is not None and file.state == FileState.REJECTED and file.error is not None:
                return partial(jobs.reject, claim=claim, error=file.error)
        analysis = model.analysis
    if analysis is None or claim.recipe.get("architecture"):
        return None
    takes, preprocess = image_input(analysis), _preprocess(claim.recipe)
    if takes is None or preprocess is None:
        return None
    return _by_the_input(claim, takes, preprocess) or _by_the_method(claim, analysis)


def _preprocess(recipe: dict[str, Any]) -> Preprocess | None:
    """Read a recipe's preprocessing, which another version may have written; None where the engine is to judge it."""
    try:
        return Preprocess.model_validate(recipe.get("preprocess") or {})
    except ValidationError:
        return None


def _by_the_input(claim: jobs.Claim, takes: InspectedTensor, preprocess: Preprocess) -> Outcome | None:
    """Reject a recipe whose preprocessing does not fit what the network takes."""
    try:
        fitting_form(takes, preprocess)
    except RecipeInvalid as error:
        return partial(jobs.reject, claim=claim, error=from_engine(error.as_dict()))
    return None


def _by_the_method(claim: jobs.Claim, analysis: dict[str, Any]) -> Outcome | None:
    method = str(claim.recipe.get("method", {}).get("name"))
    found = applicability(analysis, method)
    # Options of a method, such as units that must stay, are for the engine to judge.
    usual = METHODS[method]().model_dump(mode="json") if method in METHODS else None
    if found is None or not found.applies or claim.recipe.get("method") != usual:
        return None
    return partial(jobs.validated, claim=claim, analysis=analysis)
