"""`python -m app.describe`: the OpenAPI document on standard output, without a running service."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from app.main import create_app
from core.settings import Settings


def main() -> None:
    """Write the document; it is the same for every setting, and nothing is opened that would have to be there."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings.model_validate({"data_dir": Path(folder)}))
        json.dump(app.openapi(), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
