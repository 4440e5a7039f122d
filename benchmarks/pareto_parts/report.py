"""Accuracy against speed as a page and a picture."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.pareto_parts.plan import NARROWEST, SIZES, WIDEST, Point, Step, plan
from benchmarks.study_parts.tables import gain
from pointcmt.files import write_beside


def page(protocol: str, points: Sequence[Point], steps: Sequence[Step]) -> str:
    lines = [
        "# Accuracy against speed",
        "",
        "`python -m benchmarks.pareto --data FOLDER`",
        "",
        protocol,
        f"Finished: {len(points)} of {len(plan())} runs; the same command goes on.",
        "",
        "| student | taught by | parameters | OA % by seed | clouds/s, 32 at a time | one by one |",
        "|---|---|---:|---|---:|---:|",
    ]
    for size, distilled in dict.fromkeys((p.size, p.distilled) for p in points):
        rows = [p for p in points if (p.size, p.distilled) == (size, distilled)]
        accuracies = ", ".join(f"{100 * p.accuracy:.2f}" for p in rows)
        together, alone = np.median([p.rates for p in rows], axis=0)
        lines.append(
            f"| {size} | {WIDEST if distilled else 'labels alone'} | {rows[0].parameters:,} "
            f"| {accuracies} | {together:.0f} | {alone:.0f} |"
        )
    lines += ["", *gains(points), ""]
    lines += [
        f"Cascades: `{NARROWEST}`, seed 0, then `{WIDEST}`.",
        "",
        "| the first taught by | margin | answered by the second | OA % | clouds/s, 32 at a time |",
        "|---|---:|---:|---:|---:|",
        *(_row(step) for step in steps),
    ]
    return "\n".join(lines) + "\n"


def _row(step: Step) -> str:
    cells = (
        WIDEST if step.distilled else "labels alone",
        *(f"{step.margin:g}", f"{step.passed_on:.0%}"),
        *(f"{100 * step.accuracy:.2f}", f"{step.rate:.0f}"),
    )
    return f"| {' | '.join(cells)} |"


def gains(points: Sequence[Point]) -> list[str]:
    """Return one sentence a size: distilled minus labels alone, paired by seed."""
    known = {(p.size, p.distilled, p.seed): 100 * p.accuracy for p in points}
    sentences = []
    for size in SIZES:
        apart = [
            known[size, True, seed] - known[size, False, seed]
            for seed in range(SIZES[size].seeds)
            if {(size, True, seed), (size, False, seed)} <= known.keys()
        ]
        if apart:
            sentences.append(f"`{size}`, distilled minus labels alone: {gain(apart)} points.")
    return sentences


def draw(points: Sequence[Point], steps: Sequence[Step], path: Path) -> None:
    """Draw accuracy over clouds a second, the cascade as a line."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for distilled, colour, label in (
        (False, "tab:gray", "labels alone"),
        (True, "tab:blue", f"taught by `{WIDEST}`"),
    ):
        rows = [p for p in points if p.distilled == distilled]
        speeds, accuracies = [p.rates[0] for p in rows], [100 * p.accuracy for p in rows]
        axes.scatter(speeds, accuracies, color=colour, label=label, zorder=3)
        for row in (row for row in rows if row.seed == 0):
            place = (row.rates[0], 100 * row.accuracy)
            side = "bottom" if distilled or row.size == WIDEST else "top"
            axes.annotate(f"  {row.size}", place, color=colour, va=side)
    for distilled, colour in ((False, "tab:gray"), (True, "tab:blue")):
        line = [s for s in steps if s.distilled == distilled]
        rates, accuracies = [s.rate for s in line], [100 * s.accuracy for s in line]
        label = f"{NARROWEST}, then {WIDEST} for the share it is unsure of"
        axes.plot(rates, accuracies, ".--", color=colour, label=None if distilled else label)
        for step, rate, height in zip(line, rates, accuracies, strict=True):
            axes.annotate(f" {step.passed_on:.0%}", (rate, height), color=colour, fontsize=8)
    axes.set(xlabel="clouds a second, 32 at a time", ylabel="overall accuracy, %", xscale="log")
    ticks = [250, 500, 1000, 2000, 4000]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.margins(x=0.15)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path, format="png", dpi=110)


def write(out: Path, protocol: str, points: Sequence[Point], steps: Sequence[Step]) -> None:
    """Write pareto.json, .md and .png into the folder `out`."""
    record = {
        "protocol": protocol,
        "points": [asdict(point) for point in points],
        "cascade": [asdict(step) for step in steps],
    }
    with write_beside(out / "pareto.json") as fresh:
        fresh.write_text(json.dumps(record, indent=1) + "\n")
    with write_beside(out / "pareto.md") as fresh:
        fresh.write_text(page(protocol, points, steps))
    with write_beside(out / "pareto.png") as fresh:
        draw(points, steps, fresh)
