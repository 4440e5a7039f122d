"""A picture of the points that decided, as SVG, which needs no library to write."""

from html import escape
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.files import write_beside
from pointcmt.geometry import AXES, turn
from pointcmt_serve.explain.critical import CriticalPoints

SIZE, MARGIN, HEAD = 480, 24, 44  # pixels
AROUND, ABOVE = np.radians(35), np.radians(20)  # where the eye is
GREY, RADIUS = "#c3c9d1", 2.2
SCALE = ((0.0, (248, 196, 90)), (0.5, (222, 90, 38)), (1.0, (128, 0, 54)))  # of the shares
LARGEST = 4.5  # pixels more for the point with the greatest share


def write_picture(path: Path, critical: CriticalPoints, up: str | None, title: str) -> None:
    """Write the cloud in grey, and on it the critical points: the larger and darker, the more.

    Args:
        path: the SVG file.
        critical: what `Prediction.critical_points` gave.
        up: the vertical axis; anything but an axis is taken for y.
        title: a line above the picture; what cannot be shown of it is replaced.

    Raises:
        InputError: the file cannot be written.
    """
    with write_beside(path) as fresh:
        fresh.write_text(picture(critical, up, title), encoding="utf-8")


def picture(critical: CriticalPoints, up: str | None, title: str) -> str:
    """Return the picture that `write_picture` writes."""
    up = up if up in AXES else "y"
    title = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in title)
    middle = (critical.cloud[:, :3].min(axis=0) + critical.cloud[:, :3].max(axis=0)) / 2
    seen = [_seen(points[:, :3] - middle, up) for points in (critical.cloud, critical.points)]
    scale = (SIZE / 2 - MARGIN) / max(float(np.abs(seen[0][:, :2]).max()), 1e-12)
    weight = critical.share / max(float(critical.share.max(initial=0)), 1e-12)
    heat = np.sqrt(weight)
    far, near = (np.argsort(places[:, 2]) for places in seen)  # the nearest is drawn last
    circles = [_circle(seen[0][i], RADIUS, GREY, scale) for i in far]
    circles += [
        _circle(seen[1][i], RADIUS + LARGEST * heat[i], _color(heat[i]), scale) for i in near
    ]
    dots = "\n".join(circles)
    told = f"{len(critical)} of {len(critical.cloud)} points decided"
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE + HEAD}" role="img" \
font-family="sans-serif" aria-labelledby="t d">
<title id="t">{escape(title)}</title>
<desc id="d">{told}; the larger and darker a dot, the greater its share.</desc>
<rect width="100%" height="100%" fill="#fff"/>
<text x="{MARGIN}" y="22" font-size="16" fill="#1b1f24">{escape(title)}</text>
<text x="{MARGIN}" y="40" font-size="13" fill="#57606a">{told}</text>
{dots}
</svg>
"""


def _seen(points: NDArray[np.float32], up: str) -> NDArray[np.float64]:
    """Return right, up and towards the eye, (N, 3)."""
    x, y, z = turn(points, up, "y").astype(np.float64).T
    right, towards = (
        x * np.cos(AROUND) - z * np.sin(AROUND),
        x * np.sin(AROUND) + z * np.cos(AROUND),
    )
    high = y * np.cos(ABOVE) - towards * np.sin(ABOVE)
    return np.stack([right, high, y * np.sin(ABOVE) + towards * np.cos(ABOVE)], axis=1)


def _circle(place: NDArray[np.float64], radius: float, color: str, scale: float) -> str:
    x, y = SIZE / 2 + scale * place[0], HEAD + SIZE / 2 - scale * place[1]
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{color}"/>'


def _color(value: float) -> str:
    for (low, start), (high, end) in pairwise(SCALE):
        if value <= high:
            part = (value - low) / (high - low)
            mixed = (round(a + part * (b - a)) for a, b in zip(start, end, strict=True))
            return "#" + "".join(f"{channel:02x}" for channel in mixed)
    raise ValueError(f"{value} is not in [0, 1]")
