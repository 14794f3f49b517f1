"""The table of methods: what each lets go, whole units or channels of groups, and how it weighs them."""

from __future__ import annotations

from engine.methods import auto, channel_regression, l1, magnitude, practise, slimming, sss, thinet
from engine.pricing.method import Method

METHODS: dict[str, Method] = {
    "auto": auto.METHOD,
    "practise": practise.METHOD,
    "channel_regression": channel_regression.METHOD,
    "thinet": thinet.METHOD,
    "l1": l1.METHOD,
    "slimming": slimming.METHOD,
    "sss": sss.METHOD,
    "magnitude": magnitude.METHOD,
}
