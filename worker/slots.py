"""One slot for each GPU and one for the CPU: at most one job at a time measures on a device of this machine."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.settings import Settings


@dataclass(frozen=True)
class Slot:
    """A device that one job may use; `gpu` is what CUDA_VISIBLE_DEVICES becomes."""

    device: str
    gpu: str | None
    lock_path: Path

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the slot against every process of this machine, or give False. The kernel frees it when we die."""
        with self.lock_path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def find_slots(settings: Settings) -> list[Slot]:
    """Return the slots of the devices that the settings ask for, or of all that there are."""
    folder = settings.data_dir.resolve() / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = settings.worker_devices or ["gpu", "cpu"]
    slots = [Slot("gpu", gpu, folder / f"gpu-{_as_filename(gpu)}") for gpu in find_gpus()] if "gpu" in wanted else []
    return [*slots, Slot("cpu", None, folder / "cpu")] if "cpu" in wanted else slots


def find_gpus() -> list[str]:
    """Return the NVIDIA GPUs that may be used: as the environment, the driver or /dev name them; CUDA is not loaded."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in {"", "-1"}]
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if answer.returncode == 0:
            return answer.stdout.split()
    return sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))


def _as_filename(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", name.strip())
