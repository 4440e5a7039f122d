"""What a table is: data sets, rows, arms and measures, and the figures that the paper prints."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointcmt.errors import InputError
from pointcmt_training.section import Section
from pointcmt_training.tables.measures import MEASURES


@dataclass(frozen=True)
class Target(Section):
    """A data set of a table.

    Attributes:
        data: its name in the catalogue.
        recipe: what its runs start from.
        rendered: whether the paper's teacher sees rendered pictures; ours does where `views.root`
            is given, and projections of the clouds otherwise.
        parts: recipe of a part segmenter that starts from the encoder of each run and is what is
            measured; empty where the run itself is.
    """

    data: str
    recipe: str
    rendered: bool = False
    parts: str = ""


@dataclass(frozen=True)
class Arm(Section):
    """What sets one run of a table apart.

    Attributes:
        settings: `key: value` of a recipe, keys with dots.
        recipe: the row's own protocol, in place of its data set's recipe.
        beside: name of the row or arm that its gain is measured from.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    recipe: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Row(Arm):
    """A row.

    Attributes:
        cited: whether the paper quotes it from elsewhere, so that there is nothing to train.
        only: data sets on which it is trained; empty for all.
        paper: the paper's figures, one a column, null where it has none.
    """

    cited: bool = False
    only: list[str] = field(default_factory=list)
    paper: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A column: one measure of one arm on one data set."""

    target: str
    arm: str
    measure: str


@dataclass(frozen=True)
class Table(Section):
    """A table of the paper.

    Attributes:
        title: what it shows.
        first: heading of the first column.
        targets: data sets by the paper's names.
        measures: names in `measures.MEASURES`.
        rows: by their names in the paper.
        arms: what varies from column to column; by default nothing.
        seeds: runs of each cell.
        notes: what differs from the paper whatever the settings.
    """

    title: str
    first: str
    targets: dict[str, Target]
    measures: list[str]
    rows: dict[str, Row]
    arms: dict[str, Arm] = field(default_factory=lambda: {"": Arm()})
    seeds: int = 1
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check that every row has as many figures as there are columns."""
        columns = len(self.columns)
        for name, row in self.rows.items():
            if len(row.paper) != columns:
                raise ValueError(f"{name}: {len(row.paper)} figures for {columns} columns")

    @property
    def columns(self) -> list[Column]:
        """The columns, data set by data set and arm by arm."""
        return [
            Column(target, arm, measure)
            for target in self.targets
            for arm in self.arms
            for measure in self.measures
        ]

    def heading(self, column: Column) -> str:
        """Return a column's heading: of data set, arm and measure what is not the same for all."""
        parts = (
            column.target if len(self.targets) > 1 else "",
            column.arm,
            column.measure if len(self.measures) > 1 or len(self.arms) == 1 else "",
        )
        return ", ".join(part for part in parts if part)

    def paper(self, row: str, column: Column) -> float | None:
        """Return the paper's figure."""
        return dict(zip(self.columns, self.rows[row].paper, strict=True))[column]

    def varied(self) -> Iterator[str]:
        """Yield the keys by which the table's runs differ."""
        for one in (*self.rows.values(), *self.arms.values()):
            yield from one.settings

    def with_votes(self) -> "Table":
        """Return the table with a column of voted accuracy beside each plain one."""
        voted = [m for name in self.measures for m in (name, f"{name}, voted") if m in MEASURES]
        fresh = [Column(t, a, m) for t in self.targets for a in self.arms for m in voted]
        rows = {
            name: dataclasses.replace(
                row, paper=[self.paper(name, c) if c in self.columns else None for c in fresh]
            )
            for name, row in self.rows.items()
        }
        return dataclasses.replace(self, measures=voted, rows=rows)

    def narrowed(self, names: Sequence[str]) -> "Table":
        """Return the part of the table with these rows, arms and data sets.

        Raises:
            InputError: a name is none of them.
        """
        known = (*self.rows, *self.arms, *self.targets)
        for name in names:
            if name not in known:
                raise InputError(
                    f"--only {name!r}: must be one of {', '.join(filter(None, known))}"
                )
        kept = [column for column in self.columns if self._keeps(column, names)]
        rows = {
            name: dataclasses.replace(row, paper=[self.paper(name, column) for column in kept])
            for name, row in self.rows.items()
            if name in names or not any(n in self.rows for n in names)
        }
        return dataclasses.replace(
            self,
            targets={name: self.targets[name] for name in dict.fromkeys(c.target for c in kept)},
            arms={name: self.arms[name] for name in dict.fromkeys(c.arm for c in kept)},
            rows=rows,
        )

    def _keeps(self, column: Column, names: Sequence[str]) -> bool:
        groups = ((column.target, self.targets), (column.arm, self.arms))
        return all(own in names or not any(n in group for n in names) for own, group in groups)

    def on(self, data: str, recipe: str) -> "Table":
        """Return the table on one data set, its own of that name or a stand-in for its first.

        Args:
            data: name in the catalogue.
            recipe: what all runs of a stand-in start from; empty for those of the first data set.
        """
        for name, target in self.targets.items():
            if target.data == data:
                return self.narrowed([name])
        first, target = next(iter(self.targets.items()))
        columns = [column for column in self.columns if column.target == first]
        rows = {
            name: dataclasses.replace(
                row,
                only=[],
                recipe="" if recipe else row.recipe,
                paper=[self.paper(name, column) for column in columns],
            )
            for name, row in self.rows.items()
        }
        parts = f"{data}_parts" if target.parts else ""
        stand_in = Target(data, recipe or target.recipe, target.rendered, parts)
        notes = [*self.notes, f"The paper's figures are of {first}, ours of {data}."]
        return dataclasses.replace(self, targets={data: stand_in}, rows=rows, notes=notes)
