"""`/v1/datasets`: an uploaded set of calibration images under a name, which nobody has opened yet."""

from __future__ import annotations

from app.stored_files import DATASETS, stored_files_router

router = stored_files_router(DATASETS)
