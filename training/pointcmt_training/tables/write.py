"""The files of a table: Markdown, CSV and a picture."""

from pathlib import Path

from pointcmt.files import write_beside
from pointcmt_training.folder import write_text
from pointcmt_training.tables.grid import Grid
from pointcmt_training.tables.page import comma_separated, markdown
from pointcmt_training.tables.picture import picture
from pointcmt_training.tables.results import collect
from pointcmt_training.tables.work import Failures


def write(grid: Grid, number: str, failures: Failures, command: str) -> list[Path]:
    """Write what is finished of a table, each file all or nothing, and return their places."""
    cells = collect(grid)
    page, lines, drawn = (grid.root / f"table{number}.{end}" for end in ("md", "csv", "png"))
    write_text(page, markdown(grid, cells, failures, command, drawn.name))
    write_text(lines, comma_separated(grid, cells))
    with write_beside(drawn) as fresh:
        fresh.write_bytes(picture(grid, cells))
    return [page, lines, drawn]
