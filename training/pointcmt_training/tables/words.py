"""A cell of a table as a recipe and `key=value` words: what the table varies, and what is asked."""

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pointcmt.data.catalog import CATALOG
from pointcmt.errors import InputError
from pointcmt.models import STUDENTS
from pointcmt_training.config import Config
from pointcmt_training.distillation import METHODS
from pointcmt_training.inputs.pictures import MESHES
from pointcmt_training.recipe import load_config
from pointcmt_training.tables.table import Column, Table

SEGMENTED = ("data.", "training.", "augmentation.", "options", "device=", "checkpoint_seconds=")
PICTURE_FOLDER = "views"
Words = tuple[str, list[str]]
"""A recipe, and `key=value` overrides of it."""


@dataclass(frozen=True)
class Asked:
    """What a user asks of a table.

    Attributes:
        overrides: `key=value` for all of its runs.
        roots: folders of data sets by their names in the catalogue.
        recipe: what all runs start from, in place of the table's recipes.
        seeds: runs a cell; None takes the table's.
        root: the folder of all tables.
    """

    overrides: Sequence[str] = ()
    roots: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recipe: str = ""
    seeds: int | None = None
    root: Path = Path("runs/tables")

    def value(self, key: str) -> str:
        """Return the text of the last override of a key, or the empty string."""
        given = [word.partition("=")[2] for word in self.overrides if word.startswith(f"{key}=")]
        return given[-1] if given else ""


def trained_cells(table: Table) -> Iterator[tuple[str, Column]]:
    """Yield row and column of each cell that is trained, not cited."""
    for name, row in table.rows.items():
        for column in table.columns:
            if not row.cited and (not row.only or column.target in row.only):
                yield name, column


def require_askable(table: Table, asked: Asked) -> None:
    """Refuse an override of what the table varies, or of an option that no method of it has.

    Raises:
        InputError: it names the key.
    """
    _require_free_keys(table, asked)
    _require_options(table, asked)


def _require_free_keys(table: Table, asked: Asked) -> None:
    varied = {"seed", "stages_from", *table.varied()} - {"data.name"}
    for word in asked.overrides:
        key = word.partition("=")[0]
        if key in varied or any(one.startswith(f"{key}.") for one in varied):
            raise InputError(f"{key}: this table varies it; narrow it with --only or --seeds")


def _require_options(table: Table, asked: Asked) -> None:
    """Refuse an option that no method of the table has; each goes to the methods that have it."""
    methods = {
        METHODS[_settings(table, *place, asked)[1]["method"]] for place in trained_cells(table)
    }
    known = {f"distillation.{f.name}" for method in methods for f in dataclasses.fields(method)}
    for word in asked.overrides:
        if not _concerns(word, known):
            key = word.partition("=")[0]
            raise InputError(f"{key}: it is an option of none of this table's methods")


def student_words(table: Table, row: str, column: Column, asked: Asked) -> Words:
    """Return what a cell's student is trained by."""
    recipe, settings = _settings(table, row, column, asked)
    words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return recipe, [*words, *_given(asked, settings)]


def _reduced(base: Config, student: str) -> dict[str, Any]:
    """Reduce another student where the recipe reduces its own."""
    if student == base.student or not base.options or student not in STUDENTS:
        return {}
    return {"options": {**STUDENTS[student].SMALL, "width": base.options.get("width", 1.0)}}


def _given(asked: Asked, settings: Mapping[str, Any]) -> list[str]:
    """Return the overrides that concern a cell, and the folders of its data."""
    options = _options(settings["method"])
    words = [word for word in asked.overrides if _concerns(word, options)]
    name = asked.value("data.name") or settings["data.name"]
    if name in asked.roots:
        words.append(f"data.root={asked.roots[name]}")
    rendered = settings.get("views.kind") == "rendered"
    if rendered and not asked.value("views.root") and _renders(name):
        words.append(f"views.root={asked.root / PICTURE_FOLDER / name}")
    return words


def segmenter_words(recipe: str, asked: Asked) -> Words | None:
    """Return what the segmenters of a table are trained by; None where it has none."""
    if not recipe:
        return None
    data = _loaded(recipe).data.name
    words = [word for word in asked.overrides if word.startswith(SEGMENTED)]
    if data != asked.value("data.name"):
        words = [word for word in words if not word.startswith("data.")]
    if data in asked.roots:
        words.append(f"data.root={asked.roots[data]}")
    return recipe, words


def _settings(table: Table, row: str, column: Column, asked: Asked) -> tuple[str, dict[str, Any]]:
    """Return a cell's recipe and what the table sets in it."""
    target, one, arm = table.targets[column.target], table.rows[row], table.arms[column.arm]
    recipe = asked.recipe or one.recipe or arm.recipe or target.recipe
    base = _loaded(recipe)
    settings: dict[str, Any] = {"method": base.method, "data.name": target.data}
    if target.rendered and asked.value("views.root"):
        settings["views.kind"] = "rendered"
    settings |= one.settings | arm.settings
    return recipe, settings | _reduced(base, settings.get("student", base.student))


def _options(method: str) -> set[str]:
    return {f"distillation.{field.name}" for field in dataclasses.fields(METHODS[method])}


def _concerns(word: str, options: Collection[str]) -> bool:
    key = word.partition("=")[0]
    return not key.startswith("distillation.") or key in options


def _renders(data: str) -> bool:
    return CATALOG[data].embedded or data in MESHES


def configured(words: Words, seed: int) -> Config:
    """Return the configuration that the words say."""
    recipe, overrides = words
    return _loaded(recipe, *overrides, f"seed={seed}")


@cache
def _loaded(recipe: str, *overrides: str) -> Config:
    return load_config(recipe, overrides)
