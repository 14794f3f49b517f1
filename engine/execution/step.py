"""One node of a program: what runs, what it reads and writes, and what it is."""

from __future__ import annotations

from dataclasses import dataclass

from engine.execution.node import Kernel, NodeView


@dataclass(frozen=True)
class Step:
    """`reads` and `writes` are places in the list of live values; -1 is an absent input or output."""

    kernel: Kernel
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    node: NodeView
