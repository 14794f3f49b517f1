"""Differences of top-1 over several seeds, on the same pictures: their mean, and how sure it is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.measure.statistics import Z_95
from engine.report import Interval

Hits = NDArray[np.bool_]  # (seeds, pictures)


def pooled_difference(before: Hits, after: Hits) -> Interval:
    """Return the mean over seeds of share(after) - share(before), -1 to 1, with its paired 95 % interval.

    All seeds are tested on the same pictures, so a picture is what is sampled: its differences are averaged over the
    seeds first. For one seed this is Agresti's and Min's interval, half a trial added to each of the four outcomes; the
    interval says nothing of seeds that were not tried.
    """
    if before.shape != after.shape or before.size == 0:
        raise ValueError(f"{before.shape} and {after.shape} trials are not pairs")
    differences = (after.astype(np.float64) - before).mean(axis=0)
    total = len(differences)
    value, centre = float(differences.mean()), float(differences.sum()) / (total + 2)
    variance = (float(np.square(differences).sum()) + 1) / (total + 2) - centre**2
    half = Z_95 * math.sqrt(variance / (total + 2))
    return Interval(value=value, low=max(min(centre - half, value), -1.0), high=min(max(centre + half, value), 1.0))
