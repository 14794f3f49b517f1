"""`/v1/models`: an uploaded network under a name, which nobody has opened yet."""

from __future__ import annotations

from app.stored_files import MODELS, stored_files_router

router = stored_files_router(MODELS)
