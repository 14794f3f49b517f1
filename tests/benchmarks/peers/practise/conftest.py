"""The tiny networks here are trained as those of `tests.benchmarks.networks` are."""

from __future__ import annotations

from tests.benchmarks.networks.conftest import one_thread

__all__ = ["one_thread"]
