"""The page docs/operators.md, printed from the tables: `python -m engine.execution.page > docs/operators.md`."""

from __future__ import annotations

from collections import defaultdict

import onnx

from engine.execution.catalogue import FAMILIES, SUPPORTED, WITHOUT_GRADIENT
from engine.execution.element_types import SCARCE, TAKE_SCARCE, TYPES

OLDEST_OPSET, NEWEST_OPSET = 11, 23

_HEAD = f"""# Operators

Printed by `python -m engine.execution.page` from the tables in `engine/execution`; do not edit by hand.

The executor runs {len(SUPPORTED)} operators of the domain `ai.onnx`, in the forms for inference that they have from \
opset {OLDEST_OPSET} to {NEWEST_OPSET}, with these element types: {", ".join(TYPES)}.
Other types (FLOAT8, FLOAT4, INT4, UINT4, INT2, UINT2, STRING), sequences and optional values are refused by the name \
of the node.
With {", ".join(SCARCE)}, which PyTorch hardly calculates with, only these operators run: \
{", ".join(sorted(TAKE_SCARCE))}.
`python -m benchmarks.conformance` holds them against ONNX's own cases, and says what is not claimed.
*Forms* are the opsets, up to {NEWEST_OPSET}, in which the standard changed the operator; the first is the one in \
force at opset {OLDEST_OPSET}, or the one that brought the operator.
*Gradient* tells whether training reaches what lies before the operator.
If, Loop and Scan hold graphs, up to four inside each other; no channel goes that such a node or a graph in it reads, \
and an If whose condition is known gives way to the branch that is taken.
"""


def operators_page() -> str:
    """Return the whole page as Markdown."""
    lines = [_HEAD]
    versions = forms()
    for family, names in FAMILIES.items():
        lines += [f"## {family.capitalize()}", "", "| operator | forms | gradient |", "| --- | --- | --- |"]
        for name in sorted(names):
            lines.append(f"| {name} | {_told(versions[name])} | {'no' if name in WITHOUT_GRADIENT else 'yes'} |")
        lines.append("")
    return "\n".join(lines)


def forms() -> dict[str, list[int]]:
    """Return the opsets at which each operator was defined anew, oldest first."""
    found: dict[str, list[int]] = defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            found[schema.name].append(schema.since_version)
    return {name: sorted(versions) for name, versions in found.items()}


def _told(versions: list[int]) -> str:
    """List those that a model of the opsets we read can mean; of an operator that came later, the first."""
    current = [version for version in versions if version <= OLDEST_OPSET][-1:]
    later = [version for version in versions if OLDEST_OPSET < version <= NEWEST_OPSET]
    return ", ".join(str(version) for version in current + later or versions[:1])


if __name__ == "__main__":
    print(operators_page(), end="")
