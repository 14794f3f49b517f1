"""What the service can tell before a job is made: whether a network will do, whether images suit it, what to expect."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from client.connection import Connection
from client.errors import JobFailed
from client.problem import read_problem

POLL_SECONDS: Final = 1.0


class Checkups:
    """Ask, and wait for the answer where a worker has to look first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def analysis(self, model_id: str) -> dict[str, Any]:
        """Wait until the model has been examined and return what was found; raise JobFailed for a rejected one."""
        found = self._wait(f"/v1/models/{quote(model_id, safe='')}/analysis", {}, "validating")
        if found["state"] == "rejected":
            raise JobFailed(read_problem(found["error"]), model_id)
        return found

    def doctor(self, model_id: str, dataset_id: str, preprocess: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the doctor's report on images for a network, read as a recipe's `preprocess` would have them."""
        asked: dict[str, Any] = {"model_id": model_id}
        if preprocess:
            asked["preprocess"] = json.dumps(dict(preprocess))
        found = self._wait(f"/v1/datasets/{quote(dataset_id, safe='')}/report", asked, "waiting", "running")
        if found["error"] is not None:
            raise JobFailed(read_problem(found["error"]), dataset_id)
        report: dict[str, Any] = found["report"]
        return report

    def estimate(
        self, model_id: str, dataset_id: str | None = None, recipe: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a job would come to, once model and images have been examined; nothing is made."""
        self.analysis(model_id)
        if dataset_id is not None:
            self._wait(f"/v1/datasets/{quote(dataset_id, safe='')}", {}, "validating")
        body = {"model_id": model_id, "dataset_id": dataset_id, "recipe": dict(recipe or {})}
        found: dict[str, Any] = self._connection.post("/v1/estimates", body).json()
        return found

    def _wait(self, path: str, parameters: Mapping[str, Any], *unfinished: str) -> dict[str, Any]:
        while True:
            found: dict[str, Any] = self._connection.request("GET", path, params=dict(parameters)).json()
            if found["state"] not in unfinished:
                return found
            time.sleep(POLL_SECONDS)
