"""A table as a picture: our figures as bars with their deviation, the paper's as marks."""

import io
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

from pointcmt_training.tables.grid import Grid
from pointcmt_training.tables.results import Cells
from pointcmt_training.tables.table import Column

ROOM = 0.25  # share of the axis that is left beside the figures
HEIGHT = 0.8  # of the bars of one row, where rows are 1 apart


def picture(grid: Grid, cells: Cells) -> bytes:
    """Draw one panel a measure, rows from top to bottom, and return the PNG."""
    table = grid.table
    rows = list(table.rows)
    height = 1.2 + 0.22 * len(rows) * max(2, len(table.columns) // len(table.measures))
    figure = Figure(figsize=(2 + 3.6 * len(table.measures), height), layout="constrained")
    panels = figure.subplots(1, len(table.measures), squeeze=False, sharey=True)[0]
    for axis, measure in zip(panels, table.measures, strict=True):
        columns = [column for column in table.columns if column.measure == measure]
        _panel(axis, rows, columns, cells)
        axis.set_title(measure, fontsize=9)
    panels[0].set_yticks(range(len(rows)), rows, fontsize=8)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle(table.title, fontsize=10)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _panel(axis: Any, rows: Sequence[str], columns: Sequence[Column], cells: Cells) -> None:
    thick = HEIGHT / len(columns)
    shown: list[float] = []
    for place, column in enumerate(columns):
        own = (column.target, column.arm) if len(columns) > 1 else ()
        name = "".join(f"{part}, " for part in own if part)
        shift = (place - (len(columns) - 1) / 2) * thick
        ours = {i: cells[row, column].values for i, row in enumerate(rows)}
        known = {i: values for i, values in ours.items() if values}
        axis.barh(
            [i + shift for i in known],
            [mean(values) for values in known.values()],
            thick,
            xerr=[stdev(v) if len(v) > 1 else 0.0 for v in known.values()],
            color=f"C{place}",
            label=f"{name}ours",
        )
        paper = {i: cells[row, column].paper for i, row in enumerate(rows)}
        marks = {i: value for i, value in paper.items() if value is not None}
        axis.plot(
            list(marks.values()),
            [i + shift for i in marks],
            "D",
            color=f"C{place}",
            markeredgecolor="black",
            markersize=4,
            label=f"{name}paper",
        )
        shown += [*marks.values(), *(value for values in known.values() for value in values)]
    if shown:
        room = ROOM * (max(shown) - min(shown)) or 1.0
        axis.set_xlim(max(0.0, min(shown) - room), max(shown) + room)
    axis.tick_params(labelsize=8)
