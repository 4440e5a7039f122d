"""The pictures of the report, as matplotlib figures that need no display."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from pointcmt_training.inputs.split import Split
from pointcmt_training.reading import Record

TIMES = ("epoch", "wall_seconds", "cpu_seconds")
WIDEST = 7  # views side by side
PANELS = 4  # curves side by side
NUMBERED_BELOW = 16  # classes up to which a confusion matrix shows its counts
CLOSE = {"left": 0, "right": 1, "bottom": 0, "wspace": 0.02, "hspace": 0.12}
TITLE = 0.5  # inches above the first row
LETTERS = 42  # of a line above a cloud, of which there are three at most
LETTER = 0.065  # inches that a letter of a class's name takes
AROUND, ABOVE = np.radians(35), np.radians(20)  # from where clouds are seen


def curves(histories: Mapping[str, Sequence[Record]]) -> Figure:
    """Draw every loss of each stage over its epochs, each on its own scale, and the accuracies."""
    panels = [
        (stage, records, names)
        for stage, records in histories.items()
        for names in _rows(_panels(records))
    ]
    width = max(len(names) for _, _, names in panels)
    figure = Figure(figsize=(2.9 * width, 2.5 * len(panels)), layout="constrained")
    for axes, (stage, records, row) in zip(
        figure.subplots(len(panels), width, squeeze=False), panels, strict=True
    ):
        for axis in axes[len(row) :]:
            axis.set_visible(False)
        for axis, names in zip(axes, row, strict=False):
            _lines(axis, records, names)
            axis.set_title(f"{stage}: {_title(names)}", fontsize=9)
    return figure


def _rows(panels: list[list[str]]) -> list[list[list[str]]]:
    return [panels[start : start + PANELS] for start in range(0, len(panels), PANELS)]


def _panels(records: Sequence[Record]) -> list[list[str]]:
    """Group the measures of a history: each loss alone, all accuracies together at the end."""
    names = sorted({name for record in records for name in record} - set(TIMES))
    accuracies = [name for name in names if name.endswith("accuracy")]
    losses = [[name] for name in names if name not in accuracies]
    return losses + ([accuracies] if accuracies else [])


def _title(names: Sequence[str]) -> str:
    return names[0].replace("_", " ") if len(names) == 1 else "accuracy"


def _lines(axis: Any, records: Sequence[Record], names: Sequence[str]) -> None:
    for name in names:
        known = [record for record in records if name in record]
        axis.plot(
            [record["epoch"] for record in known],
            [record[name] for record in known],
            label=name.replace("_", " "),
            marker="o" if len(known) < len(records) or len(known) == 1 else "",
            markersize=3,
        )
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axis.grid(alpha=0.3)
    if names[0].endswith("accuracy"):
        axis.set_ylim(0, 1)
        axis.legend(fontsize=8)


def confusion(counts: Tensor, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix (C, C), each row as shares of its true class."""
    shares = (counts / counts.sum(dim=1, keepdim=True).clamp_min(1)).numpy()
    side = max(3.5, 0.24 * len(classes) + 1.5) + LETTER * max(15, *map(len, classes), 0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    axis.set_xticks(ticks, classes, rotation=90, fontsize=8)
    axis.set_yticks(ticks, classes, fontsize=8)
    axis.set(xlabel="predicted", ylabel="true")
    if len(classes) < NUMBERED_BELOW:
        for row, column in np.argwhere(counts.numpy()):
            dark = shares[row, column] > 0.5
            text = str(int(counts[row, column]))
            colour = "white" if dark else "black"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return figure


def views(split: Split, indices: Tensor) -> Figure:
    """Draw all views of some objects, at most `WIDEST` side by side below the object's class."""
    images = split.views(indices.to(split.points.device)).cpu()  # (B, V, C, H, W)
    count, per_object = images.shape[:2]
    columns = min(per_object, WIDEST)
    rows = -(-per_object // columns)
    figure = Figure(figsize=(9, count * (9 * rows / columns + 0.3)), layout="constrained")
    for axis, shown, index in zip(
        figure.subplots(count, 1, squeeze=False)[:, 0], images, indices, strict=True
    ):
        axis.imshow(_sheet(shown, columns).numpy(), cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
        axis.set_title(split.dataset.classes[int(split.labels[index])], fontsize=11, loc="left")
    return figure


def _sheet(images: Tensor, columns: int) -> Tensor:
    """Lay out images (V, C, H, W) row by row: (rows * H, columns * W, C), empty places white."""
    missing = -len(images) % columns
    padded = torch.cat([images, images.new_ones(missing, *images.shape[1:])])
    lines = torch.stack(torch.split(padded, columns))  # (rows, columns, C, H, W)
    rows, _, channels, height, width = lines.shape
    return lines.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)


def clouds(columns: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """Draw clouds, one row an object and one column a source: name -> (B, N, 3), y up."""
    height = 2.8 * len(names) + TITLE
    figure = Figure(figsize=(3 * len(columns), height))
    grid = {**CLOSE, "top": 1 - TITLE / height}
    panels = figure.subplots(len(names), len(columns), squeeze=False, gridspec_kw=grid)
    for row, name in enumerate(names):
        for axis, (source, points) in zip(panels[row], columns.items(), strict=True):
            scatter(axis, points[row], points[row, :, 1].numpy())
            title = f"{name}, {source}" if source else name
            lines = textwrap.wrap(title, LETTERS, max_lines=3, placeholder=" ...")
            axis.set_title("\n".join(lines), fontsize=9)
    return figure


def scatter(axis: Any, points: Tensor, colours: Any) -> None:
    """Draw a cloud (N, 3), y up and in the unit sphere, as seen from the right and above.

    Args:
        axis: where.
        points: the cloud.
        colours: (N,) numbers for the colour map, or (N, 3) red, green and blue from 0 to 1.
    """
    x, y, z = points.numpy().T
    right, towards = (
        x * np.cos(AROUND) - z * np.sin(AROUND),
        x * np.sin(AROUND) + z * np.cos(AROUND),
    )
    high, near = y * np.cos(ABOVE) - towards * np.sin(ABOVE), y * np.sin(ABOVE)
    order = np.argsort(near + towards * np.cos(ABOVE))  # the nearest is drawn last
    colours = np.asarray(colours)[order]
    axis.scatter(right[order], high[order], c=colours, s=2400 / len(x), linewidths=0)
    axis.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=(), yticks=())
    axis.axis("off")
