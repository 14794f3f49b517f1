"""Which units are left out together to try a prediction: sets drawn by chance, and sets that reach a ratio."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from engine.report import Interval

RATIOS = (0.8, 0.7, 0.6, 0.5)

Shares = Mapping[str, Interval]


def predicted_ratio(shares: Shares, names: Sequence[str]) -> float:
    """Return what the table of shares says of losing these units: the only place that knows how it is read."""
    return 1 - sum(shares[name].value for name in names)


def sets_to_try(shares: Shares, drawn: int, seed: int) -> dict[str, tuple[str, ...]]:
    """Return sets of units by a name that tells how they came about; none twice, none empty."""
    found = dict(_chosen(shares))
    choice, names = random.Random(seed), sorted(shares)
    for number in range(drawn):
        found[f"drawn {number}"] = tuple(sorted(choice.sample(names, choice.randint(1, len(names)))))
    unlike: dict[frozenset[str], str] = {}
    for name, units in found.items():
        unlike.setdefault(frozenset(units), name)
    return {name: found[name] for units, name in unlike.items() if units}


def _chosen(shares: Shares) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the fewest units, and the most, that are predicted to reach each ratio."""
    for rule, sign in (("fewest", -1), ("most", 1)):
        order = sorted(shares, key=lambda name: sign * shares[name].value)
        for ratio in RATIOS:
            for count in range(1, len(order) + 1):
                if predicted_ratio(shares, order[:count]) <= ratio:
                    yield f"{rule} for {ratio:g}", tuple(order[:count])
                    break
