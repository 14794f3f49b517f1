"""One job a device, on the whole machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import make_settings
from worker.slots import Slot, find_gpus, find_slots


def test_a_slot_is_held_once_on_this_machine_and_freed_by_death(tmp_path: Path) -> None:
    slot = Slot("cpu", None, tmp_path / "cpu")
    code = f"import fcntl; f = open({str(slot.lock_path)!r}, 'ab'); fcntl.flock(f, fcntl.LOCK_EX); print(1); input()"
    other = subprocess.Popen([sys.executable, "-uc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    other.stdout.readline()

    with slot.held() as held_while_other_lives:
        pass
    other.kill()
    other.communicate()
    with slot.held() as held_after_its_death, slot.held() as held_twice:
        pass

    assert (held_while_other_lives, held_after_its_death, held_twice) == (False, True, False)


@pytest.mark.parametrize(
    ("visible", "found"), [("", []), ("-1", []), ("0", ["0"]), ("1,3", ["1", "3"]), ("GPU-abc", ["GPU-abc"])]
)
def test_the_environment_says_which_gpus_may_be_used(
    monkeypatch: pytest.MonkeyPatch, visible: str, found: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert find_gpus() == found


def test_there_is_a_slot_for_each_gpu_and_one_for_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")

    everything = [(slot.device, slot.gpu) for slot in find_slots(make_settings(tmp_path))]
    only_gpu = [slot.device for slot in find_slots(make_settings(tmp_path, worker_devices=["gpu"]))]

    assert everything == [("gpu", "0"), ("gpu", "1"), ("cpu", None)]
    assert only_gpu == ["gpu", "gpu"]


def test_the_driver_is_asked_where_the_environment_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_gpus() == ["0", "1"]
