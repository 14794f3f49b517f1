"""Stands in for `python -m engine`: sleeps as long as the "network" says, and errs in its estimates as that says.

`{"seconds": 12.0, "error": 1.4, "noise": 7}`: the run takes so long, and what it says is left is too short by a factor.
"""

import json
import random
import sys
import time
from pathlib import Path

STEPS = 20


def main() -> None:
    verb, model = sys.argv[1:3]
    if verb != "compress":
        print(json.dumps({"inputs": [], "operators": {"Conv": 3}, "parameters": 12}), flush=True)
        return
    asked = json.loads(Path(model).read_text())
    noise = random.Random(asked["noise"])
    for step in range(STEPS):
        left = asked["seconds"] * (STEPS - step) / STEPS / asked["error"] * noise.lognormvariate(0, 0.15)
        stage, fraction = ("score" if step < 5 else "recover"), step / STEPS
        if noise.random() < 0.2:
            fraction -= 0.1  # an engine that goes back must not take the job's fraction with it
        said = {"event": "progress", "stage": stage, "fraction": fraction, "eta_seconds": left, "message": "at work"}
        print(json.dumps(said), flush=True)
        time.sleep(asked["seconds"] / STEPS)
    Path("out/model.onnx").write_bytes(b"a smaller network")
    Path("out/report.json").write_text(json.dumps({"outcome": "target_met", "summary": "stood in"}))
    done = {"model": "model.onnx", "report": "report.json"}
    print(json.dumps({"event": "done", "outcome": "target_met", "artifacts": done}), flush=True)


if __name__ == "__main__":
    main()
