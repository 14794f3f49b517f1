"""From what each cut would harm and save to the cuts that save enough with the least harm there is."""

from __future__ import annotations

from engine.search.interplay import Interplay, Price, Priced, Purse
from engine.search.knapsack import Candidate, choose, most
from engine.search.refine import refine

__all__ = ["Candidate", "Interplay", "Price", "Priced", "Purse", "choose", "most", "refine"]
