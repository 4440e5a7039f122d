"""The figures of a table: ours with mean, deviation and gain, beside the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from pointcmt_training.folder import RunFolder
from pointcmt_training.tables.grid import Grid
from pointcmt_training.tables.measures import MEASURES, Finished
from pointcmt_training.tables.table import Column
from pointcmt_training.tables.work import finished

Cells = Mapping[tuple[str, Column], "Cell"]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        values: ours by the name of the run, one a seed.
        wanted: how many runs were asked for.
        gains: over the row or arm that it stands beside, run by run of the same seed.
        paper: the paper's figure.
        decimals: to print.
    """

    values: Sequence[float]
    wanted: int
    gains: Sequence[float]
    paper: float | None
    decimals: int

    def __str__(self) -> str:
        """Write ours, e.g. `93.4 ± 0.2 (+1.0)`, or an empty string."""
        if not self.values:
            return ""
        gain = f" ({mean(self.gains):+.{self.decimals}f})" if self.gains else ""
        short = f", {len(self.values)} of {self.wanted}" if len(self.values) < self.wanted else ""
        return f"{spread(self.values, self.decimals)}{gain}{short}"


def spread(values: Sequence[float], decimals: int) -> str:
    """Write mean and sample deviation; of one value there is no deviation."""
    text = f"{mean(values):.{decimals}f}"
    return f"{text} ± {stdev(values):.{decimals}f}" if len(values) > 1 else text


def collect(grid: Grid) -> Cells:
    """Return every cell of the table, filled with what is finished."""
    values = {place: _values(grid, place) for place in _places(grid)}
    return {place: _cell(grid, place, values) for place in values}


def _places(grid: Grid) -> list[tuple[str, Column]]:
    return [(row, column) for row in grid.table.rows for column in grid.table.columns]


def _values(grid: Grid, place: tuple[str, Column]) -> dict[int, float]:
    """Return a cell's figures by seed."""
    measure, found = MEASURES[place[1].measure], {}
    for name in grid.cells.get(place, ()):
        job = grid.jobs[name]
        if finished(job, grid.root):
            stages = RunFolder(grid.root / job.needs) if job.needs else None
            value = measure.of(Finished(RunFolder(grid.root / name), stages))
            if value is not None:
                found[job.config.seed] = value
    return found


def _cell(
    grid: Grid, place: tuple[str, Column], values: Mapping[tuple[str, Column], dict[int, float]]
) -> Cell:
    row, column = place
    own, measure = values[place], MEASURES[column.measure]
    other = values.get(_beside(grid, place), {}) if measure.better else {}
    gains = [value - other[seed] for seed, value in own.items() if seed in other]
    wanted = len(grid.cells.get(place, ()))
    paper = grid.table.paper(row, column)
    return Cell(list(own.values()), wanted, gains, paper, measure.decimals)


def _beside(grid: Grid, place: tuple[str, Column]) -> tuple[str, Column]:
    """Return the cell whose figure is subtracted; one that there is not if there is none."""
    row, column = place
    if arm := grid.table.arms[column.arm].beside:
        return row, Column(column.target, arm, column.measure)
    return grid.table.rows[row].beside, column
