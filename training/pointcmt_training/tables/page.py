"""A table as Markdown and as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator
from statistics import mean, stdev

from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.reading import read_json
from pointcmt_training.tables.grid import Grid
from pointcmt_training.tables.jobs import Job
from pointcmt_training.tables.results import Cell, Cells
from pointcmt_training.tables.work import Failures, finished

CSV_HEAD = (
    *("row", "data", "arm", "measure", "paper", "mean", "standard deviation", "gain", "runs"),
    "values",
)


def markdown(grid: Grid, cells: Cells, failures: Failures, command: str, drawn: str) -> str:
    """Return the table with its picture `drawn`, and what stands behind the figures."""
    parts = [
        f"# {grid.table.title}",
        f"![]({drawn})",
        "\n".join(_lines(grid, cells)),
        "\n".join(f"- {line}" for line in _behind(grid, failures, command)),
    ]
    return "\n\n".join(parts) + "\n"


def _lines(grid: Grid, cells: Cells) -> Iterator[str]:
    table = grid.table
    heads = [grid.table.first]
    for column in table.columns:
        heads += [table.heading(column), "paper"]
    yield _row(heads)
    yield "|" + "---|" * len(heads)
    for name in table.rows:
        row = [cells[name, column] for column in table.columns]
        yield _row([name, *(text for cell in row for text in (str(cell), _paper(cell)))])


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _paper(cell: Cell) -> str:
    if cell.paper is None:
        return ""
    text = f"{cell.paper:g}"
    return text if "." in text or not cell.decimals else f"{text}.0"


def _behind(grid: Grid, failures: Failures, command: str) -> Iterator[str]:
    """Yield what a reader must know: runs, protocol, machine, what is missing."""
    students = {name: grid.jobs[name] for names in grid.cells.values() for name in names}
    done = [job for job in students.values() if finished(job, grid.root)]
    yield f"Ours: `{command}`; {len(done)} of {len(students)} runs are finished."
    yield "Ours is mean ± sample standard deviation over seeds; in brackets the mean paired gain."
    for words in dict.fromkeys(_protocol(job) for job in students.values()):
        yield f"Protocol: {words}."
    for words in dict.fromkeys(_machine(grid, job) for job in done):
        yield f"Machine: {words}."
    yield from grid.table.notes
    for (row, column), reason in grid.missing.items():
        place = ", ".join(part for part in (row, column.target, column.arm) if part)
        yield f"Missing: {place}: {reason}."
    for name, reason in failures.items():
        yield f"Failed: {name}: {reason}."


def _protocol(job: Job) -> str:
    config, training = job.config, job.config.training
    parts = [
        f"{config.student} on {config.data.name}, {config.data.points:,} points",
        f"{config.data.fraction:.0%} of the training split" if config.data.fraction < 1 else "",
        f"{training.epochs:,} epochs, batches of {training.batch_size}",
        f"{training.optimizer} {training.lr:g}, {training.schedule.kind}",
        f"weight decay {training.weight_decay:g}",
        f"views {config.views.kind}" if config.distillation.uses_images else "",
        _kept(config),
    ]
    return ", ".join(part for part in parts if part)


def _kept(config: Config) -> str:
    if config.protocol == "paper":
        return (
            "PUBLISHED PROTOCOL: best epoch on the TEST split, largest of "
            f"{config.evaluation.repeats} votings; compare with nothing honest"
        )
    votes = config.evaluation.votes
    told = f", beside it the mean of {votes} votes" if votes > 1 else ""
    return ("best on the validation split" if config.selected_on else "last epoch") + told


def _machine(grid: Grid, job: Job) -> str:
    made = read_json(RunFolder(grid.root / job.name).result)["environment"]
    return (
        f"{made['device']}, {made['threads']} threads a run; Python {made['python']}, "
        f"torch {made['torch']}, pointcmt {made['pointcmt']}"
    )


def comma_separated(grid: Grid, cells: Cells) -> str:
    """Return the cells as CSV, one line each, with every run's value."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(CSV_HEAD)
    for (row, column), cell in cells.items():
        place = (row, column.target, column.arm, column.measure)
        lines.writerow([*place, _paper(cell), *_summary(cell)])
    return text.getvalue()


def _summary(cell: Cell) -> list[str]:
    values = [f"{value:.6g}" for value in cell.values]
    return [
        f"{mean(cell.values):.6g}" if values else "",
        f"{stdev(cell.values):.6g}" if len(values) > 1 else "",
        f"{mean(cell.gains):.6g}" if cell.gains else "",
        str(len(values)),
        " ".join(values),
    ]
