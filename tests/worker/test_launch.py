"""The launcher puts limits on itself, never higher than the machine's own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from worker.sandbox import LAUNCHER

CODE = """
import os, resource, runpy
launch = runpy.run_path({launcher!r})
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.getuid() or os.setuid(65534)  # only root may raise a limit
launch["_limit"](resource.RLIMIT_NOFILE, {wanted})
print(list(resource.getrlimit(resource.RLIMIT_NOFILE)))
"""


@pytest.mark.parametrize(("wanted", "found"), [(32, 32), (4096, 64)])
def test_a_limit_is_set_unless_the_machines_own_is_lower(wanted: int, found: int) -> None:
    code = CODE.format(launcher=str(LAUNCHER), wanted=wanted)

    answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)

    assert json.loads(answer.stdout) == [found, found]
