"""What a user does, in words that tests can say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import Client, Job

RECIPE: dict[str, Any] = {"target": {"units": 2}, "deploy": {"batch": 8}, "budget_seconds": 10}


@dataclass
class User:
    """Somebody with a key and a folder; `model_id` and `dataset_id` are good ones."""

    client: Client
    folder: Path
    model_id: str = ""
    dataset_id: str = ""

    def upload_model(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return self.client.upload_model(self.folder / name)

    def upload_dataset(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return self.client.upload_dataset(self.folder / name)

    def submit(self, **changes: Any) -> Job:
        """Ask for the usual job, with changes to its recipe."""
        return self.client.submit(self.model_id, self.dataset_id, RECIPE | changes)

    def wait(self, job: Job) -> Job:
        """Follow a job to its end."""
        return list(self.client.follow(job.id))[-1]

    def wait_until(self, job: Job, state: str) -> Job:
        """Follow a job until it is in a state, or has ended without having been seen there."""
        return next(seen for seen in self.client.follow(job.id) if seen.state == state or seen.is_terminal)
