"""Clouds in the colours of their parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from pointcmt_training.report.figures import CLOSE, scatter

COLOURS = "tab10"  # of a class's parts, in their order
GREY = (0.87, 0.87, 0.87)


def coloured(
    points: Tensor, columns: Mapping[str, Tensor], names: Sequence[str], legends: Sequence[Any]
) -> Figure:
    """Draw clouds, one row an object and one column a labelling.

    Args:
        points: (B, N, 3), y up.
        columns: heading -> (B, N), the place of each point's part among those of its class; or
            below zero for grey.
        names: title of each row.
        legends: the part names of each row's class.
    """
    palette = colormaps[COLOURS].colors  # type: ignore[attr-defined]
    figure = Figure(figsize=(3 * len(columns) + 1.4, 2.7 * len(names)))
    panels = figure.subplots(len(names), len(columns), squeeze=False, gridspec_kw=CLOSE)
    for row, name in enumerate(names):
        for axis, (heading, parts) in zip(panels[row], columns.items(), strict=True):
            scatter(
                axis, points[row], [palette[p] if p >= 0 else GREY for p in parts[row].tolist()]
            )
            axis.set_title(f"{name}, {heading}", fontsize=9)
        marks = [Line2D([], [], marker="o", linestyle="", color=c) for c in palette]
        panels[row, -1].legend(
            marks[: len(legends[row])],
            legends[row],
            fontsize=7,
            loc="center left",
            bbox_to_anchor=(0.95, 0.5),
            frameon=False,
        )
    return figure
