"""The table of procedural pictures: no licence, no download, no network that they would have to fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.data.synthesis.canvas import Canvas
from engine.data.synthesis.dead_leaves import dead_leaves
from engine.data.synthesis.fractals import fractal
from engine.data.synthesis.pink_noise import pink_noise
from engine.data.synthesis.scene import scene
from engine.data.synthesis.shader import shader

Synthesis = Callable[[np.random.Generator, int, int, int], Canvas]  # height, width, channels

SYNTHESES: dict[str, Synthesis] = {
    "dead_leaves": dead_leaves,
    "pink_noise": pink_noise,
    "fractal": fractal,
    "shader": shader,
    "scene": scene,
}
