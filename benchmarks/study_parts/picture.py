"""The study as one picture: what images add to labels alone, at every fraction."""

from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.study_parts.plan import BUDGETS, OWN, RECIPES
from benchmarks.study_parts.tables import Found, gain, paired

IMAGES = "unlabelled: teacher's logits"
SERIES = {  # arm: its name in the picture, its colour
    "control": ("labels alone", "tab:gray"),
    OWN: ("and unlabelled clouds, no images", "tab:orange"),
    IMAGES: ("and images", "tab:blue"),
}
_APART = 0.26  # between the series of one fraction, which are 1 apart


def draw(found: Found, path: Path) -> Axes:
    """Draw every run as a dot and every mean as a bar, fraction by fraction, as a PNG.

    Args:
        found: overall accuracy of students, in [0, 1]; drawn are those of the recipe's network.
        path: where the picture goes.

    Returns:
        What was drawn.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    found = {run: value for run, value in found.items() if run.network == RECIPES}
    fractions = [f for f in BUDGETS if any(r.fraction == f and r.arm in SERIES for r in found)]
    for shift, arm in enumerate(SERIES, start=-1):
        _series(axes, found, arm, {f: i + shift * _APART for i, f in enumerate(fractions)})
    axes.set_xticks(range(len(fractions)), [f"{fraction:.0%}" for fraction in fractions])
    axes.set_xlabel("clouds of the training split that have labels")
    axes.set_ylabel("overall accuracy on the test split, %")
    axes.margins(x=0.12, y=0.12)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, format="png", dpi=110)
    return axes


def _series(axes: Axes, found: Found, arm: str, places: dict[float, float]) -> None:
    name, colour = SERIES[arm]
    runs = [run for run in found if run.arm == arm]
    across, up = [places[run.fraction] for run in runs], [100 * found[run] for run in runs]
    axes.scatter(across, up, color=colour, alpha=0.6, s=16, label=name)
    for fraction, x in places.items():
        values = [100 * found[run] for run in runs if run.fraction == fraction]
        if not values:
            continue
        axes.hlines(mean(values), x - _APART / 2.4, x + _APART / 2.4, color=colour, linewidth=3)
        if arm == IMAGES:
            told = gain(paired(found, fraction, arm, "control"))
            top = (x, max(values))
            axes.annotate(
                told, top, xytext=(0, 6), textcoords="offset points", color=colour, ha="center"
            )
