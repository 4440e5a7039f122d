"""Turned objects: cup, bowl, bottle, vase and lamp; y is up, lengths in units of a radius."""

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.shapes.solids import (
    Model,
    Solid,
    beam,
    disc,
    join,
    lathe,
    renamed_above,
    tube,
)

Rng = np.random.Generator
WALL = 0.06


def cup(rng: Rng) -> Model:
    """A tapered wall, mostly with a handle."""
    height, foot = rng.uniform(0.95, 2.2), rng.uniform(0.55, 1.0)
    rise = np.linspace(0, 1, 5)
    radius = foot + (1 - foot) * rise ** rng.uniform(0.5, 1.5)
    parts = {"wall": [_hollow(np.stack([radius, rise * height], axis=1))]}
    if rng.random() < 0.75:
        parts["handle"] = [_handle(rng, height)]
    if rng.random() < 0.2:
        parts["saucer"] = [disc(rng.uniform(1.3, 1.7), -0.08, 0.0)]
    return join(parts)


def bowl(rng: Rng) -> Model:
    """A wide open wall that widens to the rim, often on a foot."""
    height, power = rng.uniform(0.4, 1.1), rng.uniform(0.3, 0.9)
    foot = rng.uniform(0.15, 0.55)
    rise = np.linspace(0, 1, 7)
    radius = foot + (1 - foot) * rise**power
    parts = {"wall": [_hollow(np.stack([radius, rise * height], axis=1))]}
    if rng.random() < 0.5:
        drop = rng.uniform(0.05, 0.3)
        parts["foot"] = [lathe([(foot * 0.8, -drop), (foot * 0.95, -drop), (foot * 0.8, 0.02)])]
    if rng.random() < 0.2:
        rim, top = rng.uniform(1.08, 1.25), height + 0.04
        parts["rim"] = [lathe([(0.98, height), (rim, height), (rim, top), (0.98, height)])]
    return join(parts)


def bottle(rng: Rng) -> Model:
    """A straight body, a shoulder and a narrow neck."""
    body, shoulder = rng.uniform(1.2, 3.6), rng.uniform(0.2, 1.0)
    neck, length = rng.uniform(0.25, 0.6), rng.uniform(0.3, 1.4)
    waist = rng.uniform(0.85, 1.05)
    t = np.linspace(0, 1, 5)
    bend = np.stack([1 + (neck - 1) * (1 - np.cos(np.pi * t)) / 2, body + shoulder * t], axis=1)
    top = body + shoulder + length
    foot = [(0, 0), (0.92, 0), (1, 0.1), (waist, body / 2)]
    inside = [(neck - WALL, top), (neck - WALL, top - 0.3)]
    parts = {"body": [lathe([*foot, *bend, (neck, top), *inside])]}
    if rng.random() < 0.4:
        parts["cap"] = [disc(neck * 1.2, top - 0.15, top + rng.uniform(0.05, 0.3))]
    return renamed_above(join(parts), "body", body + shoulder, "neck")


def vase(rng: Rng) -> Model:
    """A curved wall from foot over belly and neck to an open lip."""
    height = rng.uniform(1.6, 4.0)
    foot, neck, lip = rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.95), rng.uniform(0.4, 1.2)
    belly, waist = rng.uniform(0.2, 0.6), rng.uniform(0.7, 0.92)
    knots = [0, belly, waist, 1]
    radius = _smooth(np.linspace(0, 1, 16), knots, [foot, 1.0, neck, lip])
    body = _hollow(np.stack([radius, np.linspace(0, height, 16)], axis=1))
    return renamed_above(join({"body": [body]}), "body", waist * height, "lip")


def lamp(rng: Rng) -> Model:
    """A shade on a stem: standing straight, or bent over on an arm."""
    base, stem = rng.uniform(0.4, 0.9), rng.uniform(1.2, 5.0)
    parts = {"base": [_lamp_base(rng, base)]}
    top = np.array([0.0, stem, 0.0])
    if rng.random() < 0.3:
        elbow, top = top * (1, 0.7, 1), np.array([rng.uniform(0.8, 1.8), stem, 0])
        parts["stem"] = [beam((0, 0, 0), elbow, 0.12), beam(elbow, top, 0.1)]
    else:
        parts["stem"] = [disc(rng.uniform(0.05, 0.14), 0, stem + 0.2)]
    parts["shade"] = [_shade(rng, top)]
    return join(parts)


def _hollow(outside: NDArray[np.float64]) -> Solid:
    """Turn a wall's outside (k, 2) into a body with a bottom and an inside."""
    inside = outside[::-1] - (WALL, 0)
    inside[-1, 1] += 2 * WALL  # the bottom has a thickness
    bottom = outside[0, 1]
    return lathe([(0, bottom), *outside, *inside, (0, bottom + 2 * WALL)])


def _handle(rng: Rng, height: float) -> Solid:
    reach, middle = rng.uniform(0.35, 0.7), height * rng.uniform(0.45, 0.6)
    half = height * rng.uniform(0.22, 0.35)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
    x, y = 0.85 + reach * np.cos(angle), middle + half * np.sin(angle)
    return tube(np.stack([x, y, 0 * x], axis=1), rng.uniform(0.07, 0.13))


def _lamp_base(rng: Rng, base: float) -> Solid:
    if rng.random() < 0.5:
        return lathe([(0, 0), (base, 0), (base, 0.08), (0.15, 0.2), (0, 0.2)])
    height = rng.uniform(0.6, 1.6)
    t = np.linspace(0, 1, 8)
    radius = base * (0.6 + 0.4 * np.sin(np.pi * (t + rng.uniform(0, 0.3))))
    return lathe([(0, 0), *np.stack([radius, t * height], axis=1), (0, height)])


def _shade(rng: Rng, top: NDArray[np.float64]) -> Solid:
    low, narrow = rng.uniform(0.6, 1.2), rng.uniform(0.2, 0.9)
    tall = rng.uniform(0.6, 1.3)
    start = top - (0, 0.6 * tall, 0)
    return lathe(
        [(low, 0), (low * narrow, tall), (low * narrow - 0.03, tall), (low - 0.03, 0)], start
    )


def _smooth(
    at: NDArray[np.float64], knots: list[float], values: list[float]
) -> NDArray[np.float64]:
    """Return a smooth curve through knots: cosine steps from one value to the next."""
    right = np.clip(np.searchsorted(knots, at, side="right"), 1, len(knots) - 1)
    x, y = np.asarray(knots), np.asarray(values)
    t = (at - x[right - 1]) / (x[right] - x[right - 1])
    step: NDArray[np.float64] = (1 - np.cos(np.pi * np.clip(t, 0, 1))) / 2
    curve: NDArray[np.float64] = y[right - 1] + (y[right] - y[right - 1]) * step
    return curve
