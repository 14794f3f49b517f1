"""What the engine's folder `out` has to hold, by what its report says. Names that are not ours are never followed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from engine.report import CandidateReport, OutputFile
from worker.files import AgreementBroken

CANDIDATE_FILE: Final = re.compile(r"candidates/[0-9]{2}\.onnx")
OUTPUT_FILE: Final = re.compile(r"outputs/(fp16|int8)\.onnx")
ONNX: Final = "application/octet-stream"


class Expected(NamedTuple):
    """One file of `out`, whose name is the artifact's as well."""

    name: str
    role: str
    media_type: str


def expected(report: dict[str, Any]) -> Iterator[Expected]:
    """Yield model and report, further files of the model, and of a front each network and the picture.

    Raises AgreementBroken.
    """
    yield Expected("model.onnx", "model", ONNX)
    yield Expected("report.json", "report", "application/json")
    for name in _files(report.get("outputs") or [], OutputFile, OUTPUT_FILE):
        yield Expected(name, "output", ONNX)
    candidates = report.get("candidates") or []
    if candidates:
        for name in _files(candidates, CandidateReport, CANDIDATE_FILE):
            yield Expected(name, "candidate", ONNX)
        yield Expected("front.svg", "plot", "image/svg+xml")


def _files(accounts: Any, kind: type[CandidateReport] | type[OutputFile], ours: re.Pattern[str]) -> list[str]:
    """Return the files that the accounts of networks name, each once."""
    try:
        files = [kind.model_validate(account).file for account in accounts]
    except (TypeError, ValidationError) as error:
        raise AgreementBroken(f"The engine's report has a {kind.__name__} that cannot be read.") from error
    strange = [name for name in files if not ours.fullmatch(name)]
    if strange or len(set(files)) < len(files):
        raise AgreementBroken(f"The engine's report names files that are not ours: {', '.join(files)[:200]}.")
    return files
