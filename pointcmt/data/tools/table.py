"""The table of data sets in the documents, written from the catalogue.

python -m pointcmt.data.tools.table docs/data.md
"""

from pathlib import Path

import click

from pointcmt.data.catalog import CATALOG
from pointcmt.data.record import DataSet

BEGIN, END = "<!-- table: python -m pointcmt.data.tools.table docs/data.md -->\n", "<!-- end of"
HEAD = "| name | what it is | files | channels | up | official clouds |\n"


def table() -> str:
    """Return the catalogue as a table in Markdown, and below it the citations and terms."""
    terms: dict[str, list[str]] = {}
    for data in CATALOG.values():
        terms.setdefault(f"{data.citation}; {data.licence}", []).append(f"`{data.name}`")
    lines = [f"- {', '.join(names)}: {words}\n" for words, names in terms.items()]
    rows = map(_row, CATALOG.values())
    return HEAD + "|---|---|---|---|---|---|\n" + "".join([*rows, "\n", *lines])


def _row(data: DataSet) -> str:
    counts = " + ".join(f"{count:,}" for count in data.counts.values())
    cells = (
        f"`{data.name}`",
        data.about,
        f"`{data.files}`" if data.files else "none",
        " ".join(data.channels),
        data.up or "not stated",
        counts or "not fixed",
    )
    return f"| {' | '.join(cells)} |\n"


def renewed(page: str) -> str:
    """Return a page with the table between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


@click.command()
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(page: Path) -> None:
    """Write the table into PAGE."""
    page.write_text(renewed(page.read_text()))


if __name__ == "__main__":
    main()
