"""A tiny stand-in for `python -m engine`: the "model" that it is given is JSON that says how to behave.

`{"inspect": BEHAVIOUR, "compress": BEHAVIOUR}`; both default to "good".
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

LOOKS = {
    "inspect": {"inputs": [], "operators": {"Conv": 3}, "parameters": 12},
    "survey": {"images": 3},
    "doctor": {"findings": []},
}
REPORT = {"outcome": "target_met", "summary": "as told"}
TIMED = {"latency_ms_p50": 1.0, "latency_ms_p95": 2.0, "samples": 9}
CANDIDATE = {
    "is_model": False,
    "units": ["a"],
    "latency": {"original": TIMED, "delivered": TIMED, "ratio": {"value": 0.8, "low": 0.7, "high": 0.9}},
    "predicted_latency_ratio": 0.8,
    "cost": {"parameters": 1, "macs": 1, "size_bytes": 1},
    "fidelity": None,
    "recovery": {
        "error_plain": 0.3,
        "error_closed_form": 0.2,
        "error_final": 0.1,
        "steps": 1,
        "best_step": 1,
        "stopped_by": "schedule",
    },
    "sha256": "00",
}


def say(**said: object) -> None:
    print(json.dumps(said), flush=True)


def progress(stage: str, fraction: object) -> None:
    say(event="progress", stage=stage, fraction=fraction, eta_seconds=1.5, message=f"{stage} it")


def good() -> None:
    for step in range(11):
        progress("score" if step < 5 else "recover", step / 10)
    write(b"a smaller model", REPORT)


def write(model: bytes, report: object) -> None:
    Path("out/model.onnx").write_bytes(model)
    Path("out/report.json").write_text(json.dumps(report))
    say(event="done", outcome="target_met", artifacts={"model": "model.onnx", "report": "report.json"})


def front() -> None:
    """Leave two candidates and a picture."""
    names = ["candidates/01.onnx", "candidates/02.onnx"]
    Path("out/candidates").mkdir()
    for name in names:
        Path("out", name).write_text(name)
    Path("out/front.svg").write_text("<svg/>")
    write(b"a smaller model", {**REPORT, "candidates": [{**CANDIDATE, "file": name} for name in names]})


def linked_front() -> None:
    """Put a link to a file of the machine where a candidate should be."""
    front()
    Path("out/candidates/02.onnx").unlink()
    Path("out/candidates/02.onnx").symlink_to("/etc/hostname")


def refuse() -> None:
    error = {"code": "nothing-to-cut", "title": "Nothing to cut", "message": "Found no unit.", "where": "graph"}
    say(event="error", error={**error, "retryable": False})
    sys.exit(1)


def blocked() -> None:
    """Read the network, and find that no job can run on it."""
    say(blocking=[{"code": "operator-unsupported", "message": "No Sparkle here.", "where": "node"}])


def ask_for_architecture() -> None:
    error = {"code": "recipe-invalid", "title": "x", "message": "Which network?", "where": "architecture"}
    say(event="error", error={**error, "retryable": False})
    sys.exit(1)


def sleep() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        progress("score", 0.3)
        time.sleep(600)
    finally:
        say(event="stopped")


def ignore_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    progress("score", 0.3)
    time.sleep(600)


def segfault() -> None:
    print("about to fall", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


def segfault_once() -> None:
    """Fall in the first attempt; the next finds what it left in the checkpoint."""
    mark = Path("checkpoint/mark")
    if mark.exists():
        good()
    else:
        mark.touch()
        segfault()


def sleep_once() -> None:
    mark = Path("checkpoint/mark")
    if mark.exists():
        good()
    else:
        mark.touch()
        sleep()


def linger() -> None:
    """Work until somebody from outside lets us end."""
    progress("score", 0.3)
    while not Path("checkpoint/go").exists():
        time.sleep(0.02)
    good()


def eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(64 * 1024**2))


def chatter() -> None:
    """Say much that must not be believed, then do the work."""
    for line in ("not json", "[1]", '{"event": "progress", "fraction": NaN}', '{"event": "progress", "fraction": "x"}'):
        print(line)
    progress("s" * 500, 7)
    say(event="progress", stage="a\0b\ud800", fraction=-3, message="m\0" * 4000)
    write(b"model", {**REPORT, "macs": 2**90, "text": "\0\ud800"})


def endless_line() -> None:
    while True:
        sys.stdout.write("x" * 1024**2)


def link_out() -> None:
    """Put a link to a file of the machine where the model should be."""
    write(b"x", REPORT)
    Path("out/model.onnx").unlink()
    Path("out/model.onnx").symlink_to("/etc/hostname")


def no_report() -> None:
    say(event="done", outcome="target_met", artifacts={})


def tell_gpu() -> None:
    print(os.environ["CUDA_VISIBLE_DEVICES"])


def leave_a_child() -> None:
    """End well while a child of our own, in a session of its own, still holds the pipe."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    good()


def probe() -> None:
    """Try what the sandbox should refuse, and report what came of it."""
    tried = {
        "network": attempt(lambda: socket.create_connection(("127.0.0.1", int(Path("port").read_text())), 2).close()),
        "write outside": attempt(lambda: Path("/usr/mine").touch()),
        "write above": attempt(lambda: Path("../mine").touch()),
        "big file": attempt(lambda: Path("big").write_bytes(bytes(64 * 1024**2))),
        "host files": Path("/etc/passwd").exists(),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "environment": sorted(os.environ),
    }
    write(b"model", {**REPORT, "tried": tried})


def attempt(act) -> bool:  # type: ignore[no-untyped-def]
    try:
        act()
    except OSError:
        return False
    return True


def main() -> None:
    verb, model = sys.argv[1:3]
    behaviour = json.loads(Path(model).read_text()).get(verb, "good")
    if verb in LOOKS and behaviour == "good":
        say(**LOOKS[verb])
    else:
        globals()[behaviour]()


if __name__ == "__main__":
    main()
