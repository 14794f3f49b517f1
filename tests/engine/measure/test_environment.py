"""The fingerprint names the machine and repeats what was asked."""

from __future__ import annotations

import onnxruntime

from engine.measure.environment import describe
from engine.recipe import Deploy


def test_the_fingerprint_is_whole() -> None:
    found = describe(Deploy(threads=3, batch=8))

    assert found.processor
    assert found.cores >= 1
    assert found.accelerator is None or found.accelerator
    assert (found.provider, found.threads, found.batch) == ("cpu", 3, 8)
    assert found.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert found.platform
