"""Clouds in the colours of their parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

AXES = ((-1.05, 1.05),) * 3
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
    figure = Figure(figsize=(3 * len(columns) + 1.4, 2.7 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        x, y, z = points[row].numpy().T
        for column, (heading, parts) in enumerate(columns.items()):
            place = row * len(columns) + column + 1
            axis = figure.add_subplot(len(names), len(columns), place, projection="3d")
            colours = [palette[part] if part >= 0 else GREY for part in parts[row].tolist()]
            axis.scatter(x, -z, y, c=colours, s=3000 / len(x), linewidths=0, depthshade=False)
            axis.set_title(f"{name}, {heading}", fontsize=9)
            axis.set(xlim=AXES[0], ylim=AXES[1], zlim=AXES[2])
            axis.set_box_aspect((1, 1, 1), zoom=1.6)
            axis.set_axis_off()
        marks = [Line2D([], [], marker="o", linestyle="", color=c) for c in palette]
        axis.legend(
            marks[: len(legends[row])],
            legends[row],
            fontsize=7,
            loc="center left",
            bbox_to_anchor=(0.95, 0.5),
            frameon=False,
        )
    return figure
