"""What the analysis of a network looks like from outside."""

from __future__ import annotations

from pydantic import BaseModel

from app.openapi import ProblemView
from core.tables import FileState
from engine.inspection import Inspection


class AnalysisView(BaseModel):
    """The verdict on a network.

    `analysis` is null while it is made, where the file could not be read, and for bare weights whose architecture
    nobody has named yet. `error` says why no job can run on it and what to do.
    """

    model_id: str
    state: FileState
    error: ProblemView | None
    analysis: Inspection | None
