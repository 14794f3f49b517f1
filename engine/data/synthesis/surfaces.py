"""What things are made of: shaded, striped, cloudy or stranger surfaces, as large as the picture that they fill."""

from __future__ import annotations

import numpy as np

from engine.data.synthesis.canvas import Canvas, random_colour, texture
from engine.data.synthesis.pink_noise import pink_noise
from engine.data.synthesis.shader import shader
from engine.data.synthesis.shapes import Plane

SHARES = {"shaded": 0.6, "striped": 0.15, "shader": 0.15, "cloudy": 0.1}


def surface(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return a surface of a random kind; most are of one colour, lit from a side, with some grain."""
    kind = generator.choice(list(SHARES), p=list(SHARES.values()))
    if kind == "striped":
        return striped(generator, height, width, channels)
    if kind == "shader":
        return shader(generator, height, width, channels)
    if kind == "cloudy":
        return pink_noise(generator, height, width, channels)
    return shaded(generator, height, width, channels)


def shaded(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return one colour that grows lighter towards a side, with grain."""
    grain = texture(generator, height, width, exponent=generator.uniform(0.7, 2))
    light = generator.uniform(0, 0.25) * slope(generator, height, width)
    brightness = light + generator.uniform(0, 0.12) * grain
    return random_colour(generator, channels) + brightness[:, :, np.newaxis]


def striped(generator: np.random.Generator, height: int, width: int, channels: int) -> Canvas:
    """Return two colours in turn, in sharp or in soft stripes, straight or bent."""
    bend = generator.uniform(0, 2) * texture(generator, height, width, exponent=2.0)
    wave = np.sin(np.exp(generator.uniform(1, 3)) * slope(generator, height, width) + bend)
    is_sharp, width_of_one = generator.random() < 0.5, generator.uniform(-0.5, 0.5)
    weight = ((wave > width_of_one) if is_sharp else (1 + wave) / 2)[:, :, np.newaxis]
    first, second = random_colour(generator, channels), random_colour(generator, channels)
    return np.asarray(weight * first + (1 - weight) * second)


def slope(generator: np.random.Generator, height: int, width: int) -> Plane:
    """Return (height, width) values that rise evenly in a random direction, about -1 to 1."""
    turn = generator.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, height)[:, np.newaxis], np.linspace(-1, 1, width)[np.newaxis, :]
    return np.asarray(x * np.cos(turn) + y * np.sin(turn), np.float64)
