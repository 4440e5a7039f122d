"""`compare.html`: finished runs side by side, those that differ by their seeds alone as one arm."""

import html
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy.special import stdtrit

from pointcmt.data.tools.identity import changes
from pointcmt.errors import InputError
from pointcmt_training.folder import write_text
from pointcmt_training.recipe import shaping
from pointcmt_training.report.page import STYLE, image, section
from pointcmt_training.tables.compared import Run, read_run
from pointcmt_training.tables.results import spread

COLOURS, STYLES = 10, ("-", "--", ":", "-.")  # of the curves of arms
LETTERS, LINE = 11, 0.22  # of a legend: letters an inch, inches a line
PER_RUN = ("seed", "data.subset_seed", "stages_from", "distillation.run")  # differ within an arm


Arms = Mapping[str, Sequence[Run]]


def compare(folders: Sequence[Path], out: Path) -> Arms:
    """Write the page of these runs; the first one's arm is what the others stand beside.

    Args:
        folders: run folders.
        out: the page.

    Returns:
        The runs of each arm, by what it is called.

    Raises:
        InputError: a folder is named twice, holds no finished run or a damaged one, or the runs
            were tested on different clouds.
    """
    for place, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:place]]:
            raise InputError(f"{folder}: is named twice; one run is one figure")
    arms = _arms([read_run(folder) for folder in folders])
    curves = _curves(arms)
    sections = [
        section("Result", _results(arms)),
        section("Curves", image(curves)) if curves else "",
        section("Classes", _classes(arms)),
    ]
    write_text(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><title>Runs compared</title>"
        f"<style>{STYLE}</style><h1>Runs compared</h1>{''.join(sections)}</html>\n",
    )
    return arms


def _arms(runs: Sequence[Run]) -> dict[str, list[Run]]:
    for run in runs:
        if words := changes({"test": run.tested}, {"test": runs[0].tested}):
            raise InputError(
                f"{run.folder}: was tested on other clouds than {runs[0].folder} ({words})"
            )
    settings = [
        {key: value for key, value in shaping(run.config).items() if key not in PER_RUN}
        for run in runs
    ]
    keys = list(dict.fromkeys(key for one in settings for key in one))
    told = [{key: _told(key, one) for key in keys if _has(key, one)} for one in settings]
    varied = [key for key in keys if len({one[key] for one in told if key in one}) > 1]
    arms: dict[str, list[Run]] = {}
    for run, one in zip(runs, told, strict=True):
        name = ", ".join(f"{key}={one[key]}" for key in varied if key in one)
        arms.setdefault(name or "one recipe", []).append(run)
    return arms


def _has(key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a run has a key; an option of the student that is not given has its default."""
    return key in settings or key.startswith("options.")


def _told(key: str, settings: Mapping[str, Any]) -> str:
    value = settings.get(key)
    return "-" if value in (None, "") else str(value)


def _results(arms: Arms) -> str:
    first = next(iter(arms.values()))
    rows = []
    for name, runs in arms.items():
        cells = (
            ", ".join(f"{100 * run.result['student']['overall']:.1f}" for run in runs),
            spread([100 * run.result["student"]["overall"] for run in runs], 1),
            spread([100 * run.result["student"]["mean_class"] for run in runs], 1),
            _difference(runs, first),
            ", ".join(sorted({_teacher(run) for run in runs})),
            f"{mean(run.result['seconds']['training']['wall_seconds'] for run in runs):.0f} s",
        )
        numbers = "".join(f"<td class=number>{html.escape(cell)}" for cell in cells)
        rows.append(f"<tr><th>{html.escape(name)}{numbers}")
    head = (
        "<tr><th>what differs<th>OA % of each run<th>OA %<th>mAcc %<th>minus the first"
        "<th>teacher OA %<th>stage III"
    )
    note = (
        "OA and mAcc: mean ± standard deviation of the runs; minus the first: mean ± half of the "
        "95 % interval (Student's t) of the pairs of one draw."
    )
    return f"<table>{head}{''.join(rows)}</table><p class=note>{note}</p>"


def _difference(runs: Sequence[Run], first: Sequence[Run]) -> str:
    """Write the difference of each draw, their mean and its 95 % interval (Student's t)."""
    own, beside = _by_draw(runs), _by_draw(first)
    found = [100 * (own[draw] - beside[draw]) for draw in own if draw in beside]
    if runs is first or not found:
        return ""
    each = ", ".join(f"{value:+.1f}" for value in found)
    if len(found) < 2:
        return each
    half = float(stdtrit(len(found) - 1, 0.975)) * stdev(found) / len(found) ** 0.5
    return f"{each}; mean {mean(found):+.1f} ± {half:.1f}"


def _by_draw(runs: Sequence[Run]) -> dict[tuple[int, int], float]:
    """Return the accuracy of each draw, the mean where several runs have it: they are one pair."""
    found: dict[tuple[int, int], list[float]] = {}
    for run in runs:
        found.setdefault(run.draw, []).append(run.result["student"]["overall"])
    return {draw: mean(values) for draw, values in found.items()}


def _teacher(run: Run) -> str:
    teacher = run.result["teacher"]
    return f"{100 * teacher['overall']:.1f}" if teacher else "none"


def _curves(arms: Arms) -> Figure | None:
    """Draw each measure over the epochs, an arm a colour; None where no run knows two epochs."""
    histories = [run.history for runs in arms.values() for run in runs]
    names = [
        name
        for name in ("cross_entropy", "accuracy", "validation_accuracy", "test_accuracy")
        if any(sum(name in record for record in history) > 1 for history in histories)
    ]
    if not names:
        return None
    width = 4.2 * len(names)
    labels = [textwrap.fill(arm, round(LETTERS * width)) for arm in arms]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(width, 3.2 + LINE * lines), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for number, (label, runs) in enumerate(zip(labels, arms.values(), strict=True)):
            for index, run in enumerate(runs):
                known = [record for record in run.history if name in record]
                axis.plot(
                    [record["epoch"] for record in known],
                    [record[name] for record in known],
                    STYLES[number // COLOURS % len(STYLES)],
                    color=f"C{number % COLOURS}",
                    marker="." if len(known) < 12 else "",
                    label="" if index else label,
                )
        axis.set(title=name.replace("_", " "), xlabel="epoch of stage III")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


def _classes(arms: Arms) -> str:
    """Return the recall of each tested class in each arm, those that differ most first."""
    names = list(next(iter(arms.values()))[0].tested["classes"])
    recalls = torch.stack(
        [torch.stack([run.recalls for run in runs]).mean(dim=0) for runs in arms.values()], dim=1
    )  # (C, arms)
    order = (recalls.amax(dim=1) - recalls.amin(dim=1)).argsort(descending=True, stable=True)
    rows = "".join(
        f"<tr><td>{html.escape(names[index])}"
        + "".join(f"<td class=number>{value:.1%}" for value in recalls[index].tolist())
        for index in order.tolist()
        if not recalls[index].isnan().any()
    )
    head = "".join(f"<th>{html.escape(name)}" for name in arms)
    return f"<table><tr><th>class, right{head}{rows}</table>"
