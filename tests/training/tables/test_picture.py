"""What the picture of a table shows: our means as bars, the paper's figures as marks."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from pointcmt_training.tables import picture as drawing
from pointcmt_training.tables.grid import plan
from pointcmt_training.tables.paper import load_table
from pointcmt_training.tables.results import Cell
from pointcmt_training.tables.words import Asked

OURS = [[80.0, 82.0], [], [90.0], [91.0]]  # of the first rows of a column, run by run
PAPER = [93.4, 94.0, None, 94.4]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Figure:
    figures: list[Figure] = []

    def figure(**settings: Any) -> Figure:
        figures.append(Figure(**settings))
        return figures[-1]

    monkeypatch.setattr(drawing, "Figure", figure)
    grid = plan(load_table("4"), Asked(("data.name=shapes",)), ())
    assert len(grid.table.rows) == len(OURS)
    cells = {
        (row, column): Cell(ours, 2, [], paper, 1)
        for column in grid.table.columns
        for row, ours, paper in zip(grid.table.rows, OURS, PAPER, strict=True)
    }
    assert drawing.picture(grid, cells).startswith(b"\x89PNG")
    (only,) = figures
    return only


def test_bars_are_our_means_and_marks_are_the_papers_figures(drawn: Figure) -> None:
    for axis in drawn.axes:
        assert axis.lines, "no marks"
        for bars in (c for c in axis.containers if hasattr(c, "patches")):
            assert [bar.get_width() for bar in bars] == [81.0, 90.0, 91.0]
            rows = [round(float(bar.get_y() + bar.get_height() / 2)) for bar in bars]
            assert rows == [0, 2, 3]
        for marks in (line for line in axis.lines if line.get_marker() == "D"):
            assert list(map(float, marks.get_xdata())) == [93.4, 94.0, 94.4]  # type: ignore[arg-type]
            assert [round(float(y)) for y in marks.get_ydata()] == [0, 1, 3]  # type: ignore[union-attr]


def test_rows_are_named_and_all_figures_lie_within_the_axis(drawn: Figure) -> None:
    names = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert names == list(load_table("4").rows)
    for axis in drawn.axes:
        low, high = axis.get_xlim()
        assert low < 80.0
        assert high > 94.4
