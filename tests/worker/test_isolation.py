"""What a child may do, in both sandboxes; and that none outlives its end."""

from __future__ import annotations

import json
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.worker.conftest import fake_engine
from worker import isolation
from worker.isolation import Child, Ending
from worker.limits import ChildLimits
from worker.sandbox import Program, Sandbox, bubblewrap_works, choose_sandbox

SANDBOXES: tuple[Sandbox, ...] = ("bubblewrap", "limits") if choose_sandbox("auto") == "bubblewrap" else ("limits",)
LIMITS = ChildLimits(wall_seconds=20, memory_bytes=1024**3, disk_bytes=1024**2, grace_seconds=0.5)


@pytest.fixture(params=SANDBOXES)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.param
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "attempt"
    (folder / "out").mkdir(parents=True)
    (folder / "checkpoint").mkdir()
    return folder


def behave(folder: Path, sandbox: Sandbox, behaviour: str, limits: ChildLimits = LIMITS) -> tuple[list[bytes], Ending]:
    (folder / "model").write_text(json.dumps({"compress": behaviour}))
    return run(folder, sandbox, fake_engine(), ["compress", "model"], limits)


def run(
    folder: Path, sandbox: Sandbox, program: Program, arguments: list[str], limits: ChildLimits = LIMITS
) -> tuple[list[bytes], Ending]:
    child = Child(program, arguments, folder=folder, shared={}, limits=limits, sandbox=sandbox, gpu=None)
    lines = list(child.lines())
    return lines, child.ending()


def python(code: str) -> Program:
    return Program((sys.executable, "-I", "-c", code))


def test_a_good_child_is_heard_to_its_end(folder: Path, sandbox: Sandbox) -> None:
    lines, ending = behave(folder, sandbox, "good")

    assert json.loads(lines[-1])["event"] == "done"
    assert (ending.exit_code, ending.signal, ending.stopped_for) == (0, None, None)
    assert (folder / "out" / "model.onnx").read_bytes() == b"a smaller model"


def test_secrets_of_the_worker_are_not_in_the_childs_environment(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_DATABASE_URL", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")

    lines, _ = run(folder, sandbox, python("import os; print(sorted(os.environ.items()))"), [])

    assert b"canary" not in b"".join(lines)


def test_bubblewrap_shows_the_child_nothing_but_its_own_work(folder: Path) -> None:
    if "bubblewrap" not in SANDBOXES:
        assert choose_sandbox("auto") == "limits"
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        (folder / "port").write_text(str(server.getsockname()[1]))
        behave(folder, "bubblewrap", "probe", ChildLimits(20, 1024**3, 1024**2))

    report = json.loads((folder / "out" / "report.json").read_text())
    tried = report["tried"]
    assert not tried["network"]
    assert not tried["write outside"]
    assert not tried["big file"]
    assert not tried["host files"]
    assert tried["processes"] <= 3
    assert not (folder.parent / "mine").exists()


def test_limits_alone_still_bound_files_and_memory(folder: Path, sandbox: Sandbox) -> None:
    code = "import resource as r; print([r.getrlimit(k)[1] for k in (r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_CORE)])"

    lines, _ = run(folder, sandbox, python(code), [])

    assert json.loads(lines[0]) == [LIMITS.memory_bytes, LIMITS.disk_bytes, 0]


def test_a_child_that_eats_memory_is_known_by_it(folder: Path, sandbox: Sandbox) -> None:
    _, ending = behave(folder, sandbox, "eat_memory")

    assert ending.out_of_memory
    assert ending.stopped_for is None


def test_a_child_killed_by_a_signal_names_it(folder: Path, sandbox: Sandbox) -> None:
    _, ending = behave(folder, sandbox, "segfault")

    assert (ending.exit_code, ending.signal, ending.out_of_memory) == (None, 11, False)
    assert "Segmentation fault" in str(ending)
    assert ending.log_tail == b"about to fall\n"


def test_a_polite_child_ends_when_asked(folder: Path, sandbox: Sandbox) -> None:
    (folder / "model").write_text('{"compress": "sleep"}')
    patient = ChildLimits(20, 1024**3, 1024**2, grace_seconds=60)
    child = Child(
        fake_engine(), ["compress", "model"], folder=folder, shared={}, limits=patient, sandbox=sandbox, gpu=None
    )
    lines: list[bytes] = []

    for line in child.lines(lambda: "cancelled" if lines else None):
        lines.append(line)

    assert json.loads(lines[-1]) == {"event": "stopped"}
    ending = child.ending()
    assert ending.stopped_for == "cancelled"
    assert ending.exit_code == 143 or ending.signal == signal.SIGTERM  # bubblewrap tells both in the same way


def test_a_stubborn_child_is_killed_after_its_grace(folder: Path, sandbox: Sandbox) -> None:
    short = ChildLimits(wall_seconds=0.5, memory_bytes=1024**3, disk_bytes=1024**2, grace_seconds=0.3)

    _, ending = behave(folder, sandbox, "ignore_term", short)

    assert ending.stopped_for == "timeout"
    assert ending.exit_code is None


CLOSE_AND_SLEEP = "import os, time; [os.close(n) for n in (1, 2)]; time.sleep(600)"


def test_a_child_that_closes_its_pipes_and_sleeps_is_still_stopped(folder: Path, sandbox: Sandbox) -> None:
    short = ChildLimits(wall_seconds=1, memory_bytes=1024**3, disk_bytes=1024**2, grace_seconds=0.3)

    lines, ending = run(folder, sandbox, python(CLOSE_AND_SLEEP), [], short)

    assert (lines, ending.stopped_for) == ([], "timeout")


def test_no_child_outlives_an_error_of_whoever_listens(folder: Path, sandbox: Sandbox) -> None:
    (folder / "model").write_text('{"compress": "sleep"}')
    child = Child(
        fake_engine(), ["compress", "model"], folder=folder, shared={}, limits=LIMITS, sandbox=sandbox, gpu=None
    )

    def listen() -> None:
        with closing(child.lines()) as lines:
            for _ in lines:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        listen()

    assert child.ending().signal is not None


def test_a_sandbox_that_cannot_be_made_is_not_the_programs_fault(folder: Path, sandbox: Sandbox) -> None:
    absurd = ChildLimits(wall_seconds=1e30, memory_bytes=None, disk_bytes=1024**2)  # no clock goes so far

    with pytest.raises(isolation.SandboxBroken, match="OverflowError"):
        run(folder, sandbox, python("print('never')"), [], absurd)


def test_many_files_are_too_much_as_well_as_a_big_one(folder: Path, sandbox: Sandbox) -> None:
    code = "import time\nfor n in range(40): open(f'out/{n}', 'wb').write(bytes(65536))\ntime.sleep(600)"

    _, ending = run(folder, sandbox, python(code), [])

    assert ending.stopped_for == "disk"


def test_time_on_the_processor_is_time_too(folder: Path, sandbox: Sandbox) -> None:
    code = "import resource as r; r.setrlimit(r.RLIMIT_CPU, (1, 1))\nwhile True: pass"

    _, ending = run(folder, sandbox, python(code), [])

    assert ending.signal is not None
    assert ending.stopped_for in {"timeout", None}


def test_a_line_without_end_does_not_fill_our_memory(folder: Path, sandbox: Sandbox) -> None:
    lines, ending = behave(folder, sandbox, "endless_line")

    assert ending.stopped_for == "endless line"
    assert sum(map(len, lines)) <= isolation.LINE_BYTES + 65536


def test_a_shared_folder_is_found_under_its_name(folder: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (folder / "checkpoint").rmdir() if sandbox == "limits" else None
    child = Child(
        python("open('checkpoint/mark', 'w').close()"),
        [],
        folder=folder,
        shared={"checkpoint": shared},
        limits=LIMITS,
        sandbox=sandbox,
        gpu=None,
    )

    assert list(child.lines()) == []

    assert child.ending().exit_code == 0
    assert (shared / "mark").exists()


def test_a_required_sandbox_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    bubblewrap_works.cache_clear()
    choose_sandbox.cache_clear()

    assert choose_sandbox("auto") == "limits"
    with pytest.raises(RuntimeError, match="SECATEUR_SANDBOX"):
        choose_sandbox("bubblewrap")

    bubblewrap_works.cache_clear()
    choose_sandbox.cache_clear()


def test_the_log_keeps_only_its_end(folder: Path, sandbox: Sandbox) -> None:
    _, ending = run(folder, sandbox, python("import sys; sys.stderr.write('x' * 10_000_000 + 'end')"), [])

    assert len(ending.log_tail) == isolation.TAIL_BYTES
    assert ending.log_tail.endswith(b"xend")
