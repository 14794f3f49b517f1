"""The machine and software that figures were measured on."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import onnxruntime

from engine.execution.cores import usable_cores
from engine.recipe import Deploy
from engine.report import Environment


def describe(deploy: Deploy) -> Environment:
    """Return the fingerprint that belongs beside every latency."""
    return Environment(
        processor=_processor(),
        cores=usable_cores(),
        accelerator=_accelerator(),
        provider=deploy.provider,
        threads=deploy.threads,
        batch=deploy.batch,
        runtime=f"onnxruntime {onnxruntime.__version__}",
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def _processor() -> str:
    """Return the processor's name as Linux gives it, else what the platform module knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _accelerator() -> str | None:
    """Return the first NVIDIA GPU's name and driver; None where there is none, or the driver does not answer."""
    query = shutil.which("nvidia-smi")
    if query is None:
        return None
    command = [query, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return None
    lines = answer.stdout.strip().splitlines()
    return lines[0] if answer.returncode == 0 and lines else None
