"""From a table to its runs: each cell's configuration, and the stages that cells share."""

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pointcmt.data.catalog import CATALOG, find
from pointcmt.data.readers.rendered import NAME as PICTURES
from pointcmt.errors import InputError
from pointcmt.models import SEGMENTERS, STUDENTS, create_student
from pointcmt_training.config import (
    Config,
    EvaluationConfig,
    GeneratorConfig,
    StudentConfig,
    TeacherConfig,
    ViewsConfig,
)
from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.pictures import MESHES
from pointcmt_training.recipe import load_config, recipes, shaping
from pointcmt_training.tables.table import Column, Table

RGB = ("r", "g", "b")
SEGMENTED = ("data.", "training.", "augmentation.", "options", "device=", "checkpoint_seconds=")
RUNS, STAGES, PICTURE_FOLDER = "runs", "stages", "views"


@dataclass(frozen=True)
class Job:
    """One piece of work: a student, or the stages I and II that students share.

    Attributes:
        name: its folder under the tables' folder; it follows from the configuration alone.
        config: what is trained.
        needs: the job whose teacher and generator a student learns from, or whose encoder a
            segmenter starts from; empty for none.
    """

    name: str
    config: Config
    needs: str = ""

    @property
    def teaches(self) -> bool:
        """Whether it ends with stage II."""
        return self.name.startswith(f"{STAGES}/")


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
    _require_free_keys(table, asked)
    _require_options(table, asked)
    jobs: dict[str, Job] = {}
    cells: dict[tuple[str, Column], list[str]] = {}
    missing: dict[tuple[str, Column], str] = {}
    for seed in range(table.seeds if asked.seeds is None else asked.seeds):
        for row, column in _trained(table):
            words = _words(table, row, column, asked)
            parts = _part_words(table.targets[column.target].parts, asked)
            if reason := _absent(words) or (parts and _absent(parts)):
                missing[row, column] = reason
                continue
            student = _jobs(_configured(words, seed), jobs)
            if parts:
                student = _part_job(_configured(parts, seed), student, jobs)
            cells.setdefault((row, column), []).append(student)
    if missing and not cells:
        raise InputError("; ".join(dict.fromkeys(missing.values())))
    return Grid(table, jobs, cells, missing, asked.root)


def _on_asked_data(table: Table, asked: Asked) -> Table:
    data = asked.value("data.name")
    if not data:
        return table
    return table.on(find(data).name, data if data in recipes() else "")


def _require_free_keys(table: Table, asked: Asked) -> None:
    varied = {"seed", "stages_from", *table.varied()} - {"data.name"}
    for word in asked.overrides:
        key = word.partition("=")[0]
        if key in varied or any(one.startswith(f"{key}.") for one in varied):
            raise InputError(f"{key}: this table varies it; narrow it with --only or --seeds")


def _require_options(table: Table, asked: Asked) -> None:
    """Refuse an option that no method of the table has; each goes to the methods that have it."""
    methods = {METHODS[_settings(table, *place, asked)[1]["method"]] for place in _trained(table)}
    known = {f"distillation.{f.name}" for method in methods for f in dataclasses.fields(method)}
    for word in asked.overrides:
        if not _concerns(word, known):
            key = word.partition("=")[0]
            raise InputError(f"{key}: it is an option of none of this table's methods")


def _trained(table: Table) -> Iterator[tuple[str, Column]]:
    for name, row in table.rows.items():
        for column in table.columns:
            if not row.cited and (not row.only or column.target in row.only):
                yield name, column


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


def _words(table: Table, row: str, column: Column, asked: Asked) -> tuple[str, list[str]]:
    """Return a cell's recipe and its `key=value` words."""
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
    options = {f"distillation.{f.name}" for f in dataclasses.fields(METHODS[settings["method"]])}
    words = [word for word in asked.overrides if _concerns(word, options)]
    name = asked.value("data.name") or settings["data.name"]
    if name in asked.roots:
        words.append(f"data.root={asked.roots[name]}")
    rendered = settings.get("views.kind") == "rendered"
    if rendered and not asked.value("views.root") and _renders(name):
        words.append(f"views.root={asked.root / PICTURE_FOLDER / name}")
    return words


def _part_words(recipe: str, asked: Asked) -> tuple[str, list[str]] | None:
    """Return recipe and words of the segmenters of a table that has them."""
    if not recipe:
        return None
    data = _loaded(recipe).data.name
    words = [word for word in asked.overrides if word.startswith(SEGMENTED)]
    if data != asked.value("data.name"):
        words = [word for word in words if not word.startswith("data.")]
    if data in asked.roots:
        words.append(f"data.root={asked.roots[data]}")
    return recipe, words


def _part_job(config: Config, classifier: str, jobs: dict[str, Job]) -> str:
    """Add the segmenter that starts from a classifier; return its name."""
    known = inspect.signature(SEGMENTERS[config.student]).parameters
    options = {key: value for key, value in config.options.items() if key in known}
    config = dataclasses.replace(config, options=options)  # a classifier's head is left out
    digest = _digest(shaping(config) | {"start": classifier})
    name = f"{RUNS}/{config.student}-{config.data.name}-{digest}-{config.seed}"
    jobs.setdefault(name, Job(name, config, classifier))
    return name


def _concerns(word: str, options: Collection[str]) -> bool:
    key = word.partition("=")[0]
    return not key.startswith("distillation.") or key in options


def _renders(data: str) -> bool:
    return CATALOG[data].embedded or data in MESHES


def _configured(words: tuple[str, list[str]], seed: int) -> Config:
    recipe, overrides = words
    return _loaded(recipe, *overrides, f"seed={seed}")


@cache
def _loaded(recipe: str, *overrides: str) -> Config:
    return load_config(recipe, overrides)


def _absent(words: tuple[str, list[str]]) -> str:
    """Say what data a cell lacks, and the command that fetches it; empty if it lacks none."""
    config = _configured(words, 0)
    data, views = CATALOG[config.data.name], config.views
    root = Path(config.data.root)
    if not data.embedded and not (config.data.root and root.is_dir() and data.recognise(root)):
        where = f"is not in {root}" if config.data.root else "is not at hand"
        fetch = f"pointcmt-data download {data.name}"
        return f"{data.name} {where}: {fetch}, then --data {data.name}:FOLDER"
    if not config.distillation.uses_images:
        return ""
    if views.kind == "projected-color" and data.channels[3:6] != RGB:
        return f"{data.name} has no colours"
    if views.kind == "rendered" and not views.root:
        return (
            f"rendered pictures of {data.name} are not at hand: pointcmt-data download {PICTURES}, "
            "or pointcmt-data views MESHES --out FOLDER, then views.root=FOLDER"
        )
    return ""


def _jobs(config: Config, jobs: dict[str, Job]) -> str:
    """Add the jobs that a student needs; return the name of its own."""
    needs = ""
    if not config.distillation.uses_images:
        config = _without_images(config)
    else:
        stages = _stages(config)
        needs = f"{STAGES}/{config.data.name}-{_digest(_made_of(stages))}-{config.seed}"
        jobs.setdefault(needs, Job(needs, stages))
    network = config.student.replace(":", ".")
    made_of = f"{network}-{config.data.name}-{config.method}-{_digest(shaping(config))}"
    name = f"{RUNS}/{made_of}-{config.seed}"
    jobs.setdefault(name, Job(name, config, needs))
    return name


def _without_images(config: Config) -> Config:
    """Forget what a control does not read, so that all tables share it."""
    generator = GeneratorConfig(points=config.data.points)
    return dataclasses.replace(
        config, views=ViewsConfig(), teacher=TeacherConfig(), generator=generator
    )


def _stages(config: Config) -> Config:
    """Return the run that trains stages I and II alone."""
    data = dataclasses.replace(config.data, unlabelled="", unlabelled_batch=1)
    return dataclasses.replace(
        config,
        method="pointcmt",
        distillation=PointCMT(),
        training=StudentConfig(batch_size=config.teacher.batch_size),
        evaluation=EvaluationConfig(),
        protocol="plain",
        data=data,
    )


def _made_of(stages: Config) -> dict[str, Any]:
    """Return what the weights of stages I and II follow from; of the student only D."""
    options = json.dumps(stages.options, sort_keys=True)
    values = {k: v for k, v in shaping(stages).items() if not k.startswith("options.")}
    return values | {"student": _feature_dim(stages.student, options)}


@lru_cache
def _feature_dim(student: str, options: str) -> int:
    return create_student(student, 2, **json.loads(options)).feature_dim


def _digest(values: Mapping[str, Any]) -> str:
    """Hash what shapes a result, all but the seed, which a name states apart."""
    kept = {key: value for key, value in values.items() if key != "seed"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:10]
