"""Furniture: chair, stool, table, desk, bench, sofa and shelf.

The classes share their legs and overlap in proportions, so that what tells them apart is how the
parts stand to each other. Lengths are in units of a seat's width; y is up, the front is +z.
"""

import numpy as np

from pointcmt.data.shapes.solids import Model, Solid, beam, box, disc, join, lathe, turned

Rng = np.random.Generator
FEET = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])


def chair(rng: Rng) -> Model:
    """A seat with a back, sometimes with arms."""
    width, depth, height = 1.0, rng.uniform(0.8, 1.15), rng.uniform(0.7, 1.25)
    seat = _top(rng, width, depth, height, rng.uniform(0.04, 0.15), rng.random() < 0.25)
    parts = {"seat": [seat], "leg": _legs(rng, width, depth, height)}
    tall = rng.uniform(0.3, 1.2)
    parts["back"] = _back(rng, width, depth, height, tall, rng.uniform(0.0, 0.3) * tall)
    if rng.random() < 0.35:
        parts["arm"] = _arms(rng, width, depth, height)
    return join(parts)


def stool(rng: Rng) -> Model:
    """A small round or square seat without a back."""
    width, height = 1.0, rng.uniform(0.85, 2.0)
    depth = rng.uniform(0.85, 1.1)
    seat = _top(rng, width, depth, height, rng.uniform(0.05, 0.2), rng.random() < 0.6)
    parts = {"seat": [seat], "leg": _legs(rng, width, depth, height)}
    if rng.random() < 0.5:
        step = height * rng.uniform(0.2, 0.5)
        profile = [(0.42, step), (0.46, step), (0.46, step + 0.05), (0.42, step + 0.05)]
        parts["ring"] = [lathe(profile)]
    return join(parts)


def table(rng: Rng) -> Model:
    """A top on legs or a pedestal, wider than high."""
    width, depth, height = rng.uniform(1.15, 2.2), rng.uniform(0.85, 1.2), rng.uniform(0.4, 1.1)
    round_top = rng.random() < 0.35
    top = _top(rng, width, depth, height, rng.uniform(0.03, 0.12), round_top)
    parts = {"top": [top], "leg": _legs(rng, width, depth, height)}
    if not round_top and rng.random() < 0.3:
        low = height * rng.uniform(0.15, 0.35)
        parts["shelf"] = [box((0, low, 0), (0.85 * width, 0.04, 0.85 * depth))]
    return join(parts)


def desk(rng: Rng) -> Model:
    """A table with drawers under one end or both, a rear panel or a raised shelf."""
    width, depth, height = rng.uniform(1.2, 2.2), rng.uniform(0.75, 1.05), rng.uniform(0.65, 1.0)
    parts = {"top": [_top(rng, width, depth, height, rng.uniform(0.03, 0.1), False)]}
    side = rng.choice([-1, 1])
    for end in (side, -side):
        if end == side or rng.random() < 0.35:
            parts.setdefault("drawers", []).append(_drawers(rng, end * width, depth, height))
        else:
            parts["leg"] = _end_legs(rng, end * width, depth, height)
    if rng.random() < 0.5:
        drop = height * rng.uniform(0.3, 0.8)
        parts["panel"] = [box((0, height - drop / 2, -0.45 * depth), (0.95 * width, drop, 0.03))]
    if rng.random() < 0.35:
        parts["hutch"] = _hutch(rng, width, depth, height)
    return join(parts)


def bench(rng: Rng) -> Model:
    """A long seat, most of them with a back."""
    width, depth, height = rng.uniform(1.7, 3.2), rng.uniform(0.55, 0.95), rng.uniform(0.45, 0.85)
    thick = rng.uniform(0.05, 0.14)
    if rng.random() < 0.5:
        slats = int(rng.integers(3, 5))
        z = (np.arange(slats) - (slats - 1) / 2) * depth / slats
        seat = [box((0, height - thick / 2, d), (width, thick, 0.7 * depth / slats)) for d in z]
    else:
        seat = [box((0, height - thick / 2, 0), (width, thick, depth))]
    parts = {"seat": seat, "leg": _legs(rng, width, depth, height, pedestal=False)}
    if rng.random() < 0.65:
        tall = rng.uniform(0.35, 0.8)
        parts["back"] = _back(rng, width, depth, height, tall, rng.uniform(0, 0.3) * tall)
        if rng.random() < 0.4:
            parts["arm"] = _arms(rng, width, depth, height)
    return join(parts)


def sofa(rng: Rng) -> Model:
    """A heavy seat with back and arms, one to three places wide."""
    width, depth, height = rng.uniform(1.1, 2.8), rng.uniform(0.8, 1.05), rng.uniform(0.35, 0.55)
    foot = rng.uniform(0.0, 0.15)
    thick, tall = rng.uniform(0.15, 0.3), rng.uniform(0.35, 0.7)
    parts = {
        "seat": [box((0, (height + foot) / 2, 0), (width, height - foot, depth))],
        "back": [box((0, (height + tall) / 2, -depth / 2), (width, height + tall - foot, thick))],
        "arm": [],
    }
    arm, high = rng.uniform(0.1, 0.25), height + rng.uniform(0.1, 0.3)
    for end in (-1, 1) if rng.random() < 0.85 else (rng.choice([-1, 1]),):
        parts["arm"].append(box((end * width / 2, (high + foot) / 2, 0), (arm, high - foot, depth)))
    feet = FEET * (0.45 * width, 0.4 * depth)
    parts["foot"] = [box((x, foot / 2, z), (0.07, foot + 0.02, 0.07)) for x, z in feet]
    return join(parts)


def shelf(rng: Rng) -> Model:
    """Boards between two sides, with or without a rear wall."""
    width, depth, height = rng.uniform(0.8, 2.0), rng.uniform(0.28, 0.7), rng.uniform(0.8, 2.5)
    boards, thick = int(rng.integers(2, 6)), rng.uniform(0.03, 0.07)
    levels = np.linspace(rng.uniform(0.02, 0.2), height - thick / 2, boards)
    levels[1:-1] += rng.uniform(-0.25, 0.25, boards - 2) * height / boards
    parts = {"board": [box((0, level, 0), (width, thick, depth)) for level in levels]}
    if rng.random() < 0.65:
        sides = [box((x, height / 2, 0), (thick, height, depth)) for x in (-width / 2, width / 2)]
    else:
        posts = FEET * (width / 2, depth / 2)
        sides = [box((x, height / 2, z), (0.06, height, 0.06)) for x, z in posts]
    parts["side"] = sides
    if rng.random() < 0.4:
        parts["rear"] = [box((0, height / 2, -depth / 2), (width, height, 0.02))]
    if rng.random() < 0.25:
        x = rng.uniform(-0.2, 0.2) * width
        parts["divider"] = [box((x, height / 2, 0), (thick, height, depth))]
    return join(parts)


def _top(rng: Rng, width: float, depth: float, height: float, thick: float, rounded: bool) -> Solid:
    if not rounded:
        return box((0, height - thick / 2, 0), (width, thick, depth))
    vertices, faces = disc(0.5, height - thick, height)
    return vertices * (width, 1, depth), faces


def _legs(
    rng: Rng, width: float, depth: float, height: float, pedestal: bool = True
) -> list[Solid]:
    """Four legs (upright or splayed), a pedestal, or panels at both ends."""
    kind = rng.choice(["four", "pedestal", "panels"], p=[0.6, 0.22, 0.18])
    if kind == "pedestal" and pedestal:
        return _pedestal(rng, min(width, depth), height)
    inset, thick = rng.uniform(0.35, 0.48), rng.uniform(0.04, 0.11)
    if kind == "panels":
        sides = (-inset * width, inset * width)
        return [box((x, height / 2, 0), (thick, height, 0.9 * depth)) for x in sides]
    splay = rng.choice([1.0, rng.uniform(1.0, 1.3)])
    tops = FEET * (inset * width, inset * depth)
    legs = [beam((x, height, z), (splay * x, 0, splay * z), thick) for x, z in tops]
    if rng.random() < 0.3:
        level, z = height * rng.uniform(0.15, 0.6), inset * depth
        legs += [beam((x, level, -z), (x, level, z), 0.6 * thick) for x in tops[::2, 0]]
    return legs


def _pedestal(rng: Rng, width: float, height: float) -> list[Solid]:
    column = disc(rng.uniform(0.04, 0.12) * width, 0, height)
    reach = rng.uniform(0.3, 0.48) * width
    if rng.random() < 0.5:
        return [column, lathe([(0, 0), (reach, 0), (reach, 0.04), (0.1, 0.1), (0, 0.1)])]
    count, low = int(rng.integers(3, 6)), rng.uniform(0.03, 0.15)
    arm = beam((0, low, 0), (reach, 0.03, 0), 0.06)
    return [column, *(turned(arm, 2 * np.pi * i / count) for i in range(count))]


def _back(
    rng: Rng, width: float, depth: float, height: float, tall: float, lean: float
) -> list[Solid]:
    """A solid, slatted (upright or level) back that leans to the rear by `lean` at its top."""
    z, kind, thick = -depth / 2 + 0.03, rng.choice(["solid", "upright", "level"]), 0.06
    low, high = np.array([0, height, z]), np.array([0, height + tall, z - lean])
    if kind == "solid":
        start = low + (high - low) * rng.choice([0.0, 0.3])
        return [beam(start, high, rng.uniform(0.75, 1.0) * width, thick)]
    count = int(rng.integers(2, 6))
    edge = np.array([width / 2 - 0.04, 0, 0])
    posts = [beam(low + end * edge, high + end * edge, 0.07) for end in (-1, 1)]
    if kind == "upright":
        x = np.linspace(-1, 1, count + 2)[1:-1]
        rail = beam(high - edge, high + edge, 0.08)
        return [*posts, rail, *(beam(low + i * edge, high + i * edge, 0.05) for i in x)]
    levels = np.linspace(rng.uniform(0.2, 0.6), 1, count)
    middles = [low + (high - low) * level for level in levels]
    return [*posts, *(beam(m - edge, m + edge, 0.3 * tall / count, 0.04) for m in middles)]


def _arms(rng: Rng, width: float, depth: float, height: float) -> list[Solid]:
    rise, front = rng.uniform(0.2, 0.4), rng.uniform(0.1, 0.45) * depth
    parts = []
    for x in (-width / 2, width / 2):
        parts.append(beam((x, height + rise, -depth / 2), (x, height + rise, front), 0.07))
        parts.append(beam((x, height - 0.05, front), (x, height + rise, front), 0.06))
    return parts


def _drawers(rng: Rng, width: float, depth: float, height: float) -> Solid:
    wide, drop = rng.uniform(0.22, 0.35) * abs(width), height * rng.uniform(0.5, 0.97)
    x = np.sign(width) * (abs(width) / 2 - wide / 2 - 0.03)
    return box((x, height - drop / 2, 0), (wide, drop, 0.92 * depth))


def _end_legs(rng: Rng, width: float, depth: float, height: float) -> list[Solid]:
    if rng.random() < 0.5:
        return [box((0.47 * width, height / 2, 0), (0.05, height, 0.9 * depth))]
    ends = (-0.42 * depth, 0.42 * depth)
    return [box((0.46 * width, height / 2, z), (0.07, height, 0.07)) for z in ends]


def _hutch(rng: Rng, width: float, depth: float, height: float) -> list[Solid]:
    rise, deep, z = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.35) * depth, -0.35 * depth
    sides = [box((x, height + rise / 2, z), (0.04, rise, deep)) for x in (-width / 2, width / 2)]
    return [*sides, box((0, height + rise, z), (width, 0.04, deep))]
