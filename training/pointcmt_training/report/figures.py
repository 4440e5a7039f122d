"""The pictures of the report, as matplotlib figures that need no display."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from pointcmt_training.folder import Record
from pointcmt_training.inputs import Split

TIMES = ("epoch", "wall_seconds", "cpu_seconds")
NUMBERED_BELOW = 16  # classes up to which a confusion matrix shows its counts


def curves(histories: Mapping[str, Sequence[Record]]) -> Figure:
    """Draw losses (left) and accuracies (right) of each stage over its epochs."""
    stages = {stage: records for stage, records in histories.items() if records}
    figure = Figure(figsize=(10, 2.8 * len(stages)), layout="constrained")
    rows = figure.subplots(len(stages), 2, squeeze=False)
    for (stage, records), (left, right) in zip(stages.items(), rows, strict=True):
        names = sorted({name for record in records for name in record} - set(TIMES))
        for name in names:
            known = [record for record in records if name in record]
            axis = right if name.endswith("accuracy") else left
            axis.plot(
                [record["epoch"] for record in known],
                [record[name] for record in known],
                label=name.replace("_", " "),
                marker="o" if len(known) < len(records) else "",
                markersize=3,
            )
        left.set(title=f"{stage}: losses", xlabel="epoch")
        right.set(title=f"{stage}: accuracy", xlabel="epoch", ylim=(0, 1))
        for axis in (left, right):
            axis.grid(alpha=0.3)
            if axis.lines:
                axis.legend(fontsize=8)
            else:
                axis.set_visible(False)
    return figure


def confusion(counts: Tensor, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix (C, C), each row as shares of its true class."""
    shares = (counts / counts.sum(dim=1, keepdim=True).clamp_min(1)).numpy()
    side = max(4.5, 0.24 * len(classes) + 2.5)
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
    """Draw all views of some objects, one row an object."""
    images = split.views(indices.to(split.points.device)).cpu()  # (B, V, C, H, W)
    count, per_object = images.shape[:2]
    figure = Figure(figsize=(1.6 * per_object, 1.7 * count), layout="constrained")
    axes = figure.subplots(count, per_object, squeeze=False)
    for row in range(count):
        for column in range(per_object):
            image = images[row, column].permute(1, 2, 0).numpy()
            axes[row, column].imshow(image, cmap="gray", vmin=0, vmax=1)
            axes[row, column].axis("off")
        label = split.dataset.classes[int(split.labels[indices[row]])]
        axes[row, 0].set_title(label, fontsize=9, loc="left")
    return figure


def clouds(columns: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """Draw clouds, one row an object and one column a source: name -> (B, N, 3), y up."""
    figure = Figure(figsize=(3 * len(columns), 2.8 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        for column, (source, points) in enumerate(columns.items()):
            position = row * len(columns) + column + 1
            axis = figure.add_subplot(len(names), len(columns), position, projection="3d")
            x, y, z = points[row].numpy().T
            axis.scatter(x, -z, y, c=y, s=3000 / len(x), cmap="viridis", linewidths=0)
            axis.set_title(f"{name}, {source}", fontsize=9)
            axis.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
            axis.set_box_aspect((1, 1, 1), zoom=1.9)
            axis.set_axis_off()
    return figure
