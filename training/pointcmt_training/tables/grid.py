"""From a table to its runs: each cell's configuration, and the stages that cells share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pointcmt.data.catalog import CATALOG, find
from pointcmt.data.readers.rendered import NAME as PICTURES
from pointcmt.errors import InputError
from pointcmt.geometry import COLORS
from pointcmt_training.recipe import recipes
from pointcmt_training.tables.jobs import Job, segmenter_job, student_job
from pointcmt_training.tables.table import Column, Table
from pointcmt_training.tables.words import (
    Asked,
    Words,
    configured,
    require_askable,
    segmenter_words,
    student_words,
    trained_cells,
)


@dataclass(frozen=True)
class Grid:
    """A table and what fills it.

    Attributes:
        table: the table.
        jobs: by name; stages stand before the students that need them.
        cells: the students' jobs of a row and a column, one a seed.
        missing: why a cell has no job, by row and column.
        root: the folder of all tables.
    """

    table: Table
    jobs: Mapping[str, Job]
    cells: Mapping[tuple[str, Column], Sequence[str]]
    missing: Mapping[tuple[str, Column], str]
    root: Path


def plan(table: Table, asked: Asked, only: Sequence[str] = ()) -> Grid:
    """Lay out the runs of a table, seed by seed, so that every cell has a figure early.

    Args:
        table: the whole table.
        asked: the user's wishes.
        only: rows, arms and data sets to narrow it to.

    Raises:
        InputError: an override is wrong or one that the table varies, or nothing can be trained.
    """
    table = _on_asked_data(table, asked).narrowed(only)
    if asked.value("evaluation.votes") not in ("", "1"):
        table = table.with_votes()
    require_askable(table, asked)
    jobs: dict[str, Job] = {}
    cells: dict[tuple[str, Column], list[str]] = {}
    missing: dict[tuple[str, Column], str] = {}
    for seed in range(table.seeds if asked.seeds is None else asked.seeds):
        for row, column in trained_cells(table):
            words = student_words(table, row, column, asked)
            parts = segmenter_words(table.targets[column.target].parts, asked)
            if reason := _absent(words) or (parts and _absent(parts)):
                missing[row, column] = reason
                continue
            student = student_job(configured(words, seed), jobs)
            if parts:
                student = segmenter_job(configured(parts, seed), student, jobs)
            cells.setdefault((row, column), []).append(student)
    if missing and not cells:
        raise InputError("; ".join(dict.fromkeys(missing.values())))
    return Grid(table, jobs, cells, missing, asked.root)


def _on_asked_data(table: Table, asked: Asked) -> Table:
    data = asked.value("data.name")
    if not data:
        return table
    return table.on(find(data).name, data if data in recipes() else "")


def _absent(words: Words) -> str:
    """Say what data a cell lacks, and the command that fetches it; empty if it lacks none."""
    config = configured(words, 0)
    data, views = CATALOG[config.data.name], config.views
    root = Path(config.data.root)
    if not data.embedded and not (config.data.root and root.is_dir() and data.recognise(root)):
        where = f"is not in {root}" if config.data.root else "is not at hand"
        fetch = f"pointcmt-data download {data.name}"
        return f"{data.name} {where}: {fetch}, then --data {data.name}:FOLDER"
    if not config.distillation.uses_images:
        return ""
    if views.kind == "projected-color" and data.channels[3:6] != COLORS:
        return f"{data.name} has no colours"
    if views.kind == "rendered" and not views.root:
        return (
            f"rendered pictures of {data.name} are not at hand: pointcmt-data download {PICTURES}, "
            "or pointcmt-data views MESHES --out FOLDER, then views.root=FOLDER"
        )
    return ""
