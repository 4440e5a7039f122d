"""The tables of a recipe's keys in the documents, written from the configuration's classes.

python -m pointcmt_training.keys docs/train.md
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import click
from pydantic import TypeAdapter

from pointcmt_training.config import Config
from pointcmt_training.distillation import METHODS
from pointcmt_training.schedules import SCHEDULES, Decay
from pointcmt_training.section import Section

BEGIN, END = (
    "<!-- keys: python -m pointcmt_training.keys docs/train.md -->\n",
    "<!-- end of keys -->",
)
HEAD = "| key | default | what it may be | what it is |\n|---|---|---|---|\n"
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
    "null": "null",
}


def tables() -> str:
    """Return every key of a recipe as Markdown: top level, sections, schedules, methods."""
    sections = {f.name: f.type for f in dataclasses.fields(Config) if _is_section(f.type)}
    parts = ["### The top level\n\n", _table(Config, "", skip=(*sections, "distillation"))]
    for name, section in sections.items():
        parts += [f"\n### `{name}:`\n\n{_about(section)}\n\n", _table(section, f"{name}.")]
    for name, schedule in SCHEDULES.items():
        parts += [f"\n### A schedule of `kind: {name}`\n\n{_about(schedule)}\n\n"]
        parts += [_table(schedule, "", skip=("kind",))]
    for name, method in METHODS.items():
        parts.append(f"\n### `distillation:` with `method: {name}`\n\n{_about(method)}\n")
        if dataclasses.fields(method):
            parts.append("\n" + _table(method, "distillation."))
    return "".join(parts)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _about(section: Any) -> str:
    return inspect.cleandoc(section.__doc__).partition("\n\n")[0].replace("\n", " ")


def _table(section: Any, prefix: str, skip: tuple[str, ...] = ()) -> str:
    kinds, meanings = get_type_hints(section, include_extras=True), dict(_meanings(section))
    fields = [field for field in dataclasses.fields(section) if field.name not in skip]
    if untold := [field.name for field in fields if field.name not in meanings]:
        raise TypeError(f"{section.__name__}: says nothing under `Attributes:` of {untold}")
    rows = [
        f"| `{prefix}{field.name}` | {_default(field)} | {_allowed(kinds[field.name])} "
        f"| {meanings[field.name]} |\n"
        for field in fields
    ]
    return HEAD + "".join(rows)


def _meanings(section: Any) -> Iterator[tuple[str, str]]:
    """Read the attributes out of the docstrings of a class and of its bases, bases first."""
    for cls in reversed(section.__mro__):
        attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
        for key, words in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE):
            yield key, " ".join(words.split()).replace("|", "\\|")


def _default(field: "dataclasses.Field[Any]") -> str:
    made = field.default_factory
    value = field.default if made is dataclasses.MISSING else made()
    if value in ("", {}):
        return "empty"
    if isinstance(value, Decay):
        return f"`{{kind: {value.kind}}}`"
    words = {True: "true", False: "false", None: "null"}
    return f"`{words[value] if isinstance(value, bool | None) else value}`"


def _allowed(kind: Any) -> str:
    schema = TypeAdapter(kind).json_schema()
    return " or ".join(_words(one) for one in schema.get("anyOf", [schema]))


def _words(schema: Mapping[str, Any]) -> str:
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in choices)
    bounds = [f"{words} {schema[key]:.10g}" for key, words in BOUNDS.items() if key in schema]
    return ", ".join([WORDS[schema["type"]], *bounds])


def renewed(page: str) -> str:
    """Return a page with what stands between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + tables() + END + rest.partition(END)[2]


@click.command()
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(page: Path) -> None:
    """Write the tables into PAGE."""
    page.write_text(renewed(page.read_text()))


if __name__ == "__main__":
    main()
