"""What the engine's folder `out` has to hold, by what its report says. Names that are not ours are never followed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from engine.report import CandidateReport
from worker.files import AgreementBroken

CANDIDATE_FILE: Final = re.compile(r"candidates/[0-9]{2}\.onnx")
ONNX: Final = "application/octet-stream"


class Expected(NamedTuple):
    """One file of `out`, whose name is the artifact's as well."""

    name: str
    role: str
    media_type: str


def expected(report: dict[str, Any]) -> Iterator[Expected]:
    """Yield model and report, and of a front each network and the picture. Raises AgreementBroken."""
    yield Expected("model.onnx", "model", ONNX)
    yield Expected("report.json", "report", "application/json")
    candidates = report.get("candidates") or []
    if candidates:
        yield from (Expected(name, "candidate", ONNX) for name in _files(candidates))
        yield Expected("front.svg", "plot", "image/svg+xml")


def _files(candidates: Any) -> list[str]:
    """Return the files that the candidates name, each once."""
    try:
        files = [CandidateReport.model_validate(candidate).file for candidate in candidates]
    except (TypeError, ValidationError) as error:
        raise AgreementBroken("The engine's report has a candidate that cannot be read.") from error
    strange = [name for name in files if not CANDIDATE_FILE.fullmatch(name)]
    if strange or len(set(files)) < len(files):
        raise AgreementBroken(f"The engine's report names candidates that are not ours: {', '.join(files)[:200]}.")
    return files
