"""What is asked: target, method, preprocessing, deployment. Torch-free, so that the web process can read it.

Every key has a default; a key that is not known is an error that names the nearest known one.
"""

from __future__ import annotations

from engine.recipe.inputs import OPEN_SIDE, Architecture, Preprocess
from engine.recipe.latency_table import LatencyTable, PlanTime, UnitTimes
from engine.recipe.methods import METHODS, Magnitude, Pattern, Practise, Slimming, Sss
from engine.recipe.request import ControlName, Deploy, Recipe, Synthesis, in_document
from engine.recipe.strict import Strict
from engine.recipe.targets import TARGETS, LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Pareto, Target, Units

__all__ = [
    "METHODS",
    "OPEN_SIDE",
    "TARGETS",
    "Architecture",
    "ControlName",
    "Deploy",
    "LatencyMs",
    "LatencyRatio",
    "LatencyTable",
    "MacsRatio",
    "Magnitude",
    "ParametersRatio",
    "Pareto",
    "Pattern",
    "PlanTime",
    "Practise",
    "Preprocess",
    "Recipe",
    "Slimming",
    "Sss",
    "Strict",
    "Synthesis",
    "Target",
    "UnitTimes",
    "Units",
    "in_document",
]
