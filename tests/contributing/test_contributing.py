"""CONTRIBUTING's words followed for one of each: its file and its line, nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pointcmt.native import library

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
HOW = re.search(r"## How to add\n(.*?)\n## ", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
SOURCES = ("pointcmt", "training", "export", "serve", "tests", "docs", "pyproject.toml")


@dataclass(frozen=True)
class Addition:
    """A file of this folder, where CONTRIBUTING says it goes, and its line in which table."""

    file: str
    to: str
    table: str
    imported: str
    before: str
    line: str


ADDITIONS = (
    Addition(
        file="student.py",
        to="pointcmt/models/point_set.py",
        table="pointcmt/models/__init__.py",
        imported="from pointcmt.models.point_set import PointSet",
        before='    "pointnet": PointNet,',
        line='    "point-set": PointSet,',
    ),
    Addition(
        file="data_set.py",
        to="pointcmt/data/readers/pairs.py",
        table="pointcmt/data/catalog.py",
        imported="from pointcmt.data.readers import pairs",
        before="    folder.RECORD,",
        line="    pairs.RECORD,",
    ),
    Addition(
        file="method.py",
        to="training/pointcmt_training/distillation/nearer.py",
        table="training/pointcmt_training/distillation/__init__.py",
        imported="from pointcmt_training.distillation.nearer import Nearer",
        before='    "none": Control,',
        line='    "nearer": Nearer,',
    ),
    Addition(
        file="format.py",
        to="export/pointcmt_export/formats/copied.py",
        table="export/pointcmt_export/formats/__init__.py",
        imported="",
        before='        Format(\n            name="triton",',
        line='        Format(name="copied", files=("model.copy",), runs_with="a test", '
        'engine="copied", extra="export", needs="", module="pointcmt_export.formats.copied"),',
    ),
    Addition(
        file="engine.py",
        to="serve/pointcmt_serve/engines/copied.py",
        table="serve/pointcmt_serve/engines/__init__.py",
        imported="from pointcmt_serve.engines.copied import CopiedSession",
        before='    "openvino": Engine(',
        line='    "copied": Engine(file="model.copy", form="copied", open=CopiedSession, '
        'extra="serve", devices=("cpu",), note="a test"),',
    ),
)

COMMANDS = """
import sys
from pathlib import Path

sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__name__.startswith("ScikitBuild")]
sys.path[:0] = [str(Path(part).absolute()) for part in (".", "training", "export", "serve")]

import pytest
from pointcmt import commands
from pointcmt.data.tools import table
from pointcmt_training import keys

def run(command, *words):
    sys.argv = [command.args[0], *words]
    try:
        command()
    except SystemExit as end:
        if end.code:
            raise

run(commands.train, "shapes", *{settings!r}, "-o", "run")
run(commands.export, "run", "-o", "artefact", "--format", "copied", "--data", "pairs:data")
run(commands.classify, "artefact", "cloud.npy", "--engine", "copied", "--json")
keys.main(["docs/train.md"], standalone_mode=False)
table.main(["docs/data.md"], standalone_mode=False)
tests = ("models/test_students.py", "training/test_keys.py", "data/test_data_page.py")
wanted = "(point-set or unknown or date or resolved or catalogue) and not (few_steps or parameters)"
sys.exit(pytest.main(["-qx", *(f"tests/{{test}}" for test in tests), "-k", wanted]))
"""
SETTINGS = (
    "student=point-set",
    "options={width: 0.25, feature_dim: 16}",
    "method=nearer",
    "distillation.nearness=0.5",
    "data.name=pairs",
    "data.root=data",
    "data.points=40",
    "views.size=16",
    "teacher.width=0.25",
    "teacher.stem=small",
    *(f"{stage}.epochs=1" for stage in ("teacher", "generator", "training")),
    *(f"{stage}.batch_size=4" for stage in ("teacher", "generator", "training")),
    "generator.points=16",
    "device=cpu",
)


def clouds(folder: Path) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        labels = np.arange(8) % 2
        points = random.uniform(-0.5, 0.5, (8, 64, 3)).astype(np.float32)
        points[..., 0] += np.where(labels, 0.4, -0.4)[:, None].astype(np.float32)
        np.savez(folder / f"{split}.npz", points=points, labels=labels)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with one of each added."""
    tree = tmp_path_factory.mktemp("contributing") / "tree"
    tree.mkdir()
    for source in SOURCES:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tree / source)
        else:
            shutil.copy(ROOT / source, tree / source)
    for added in ADDITIONS:
        shutil.copy(HERE / added.file, tree / added.to)
        table = tree / added.table
        text = table.read_text()
        assert text.count(added.before) == 1
        text = text.replace(added.before, f"{added.line}\n{added.before}")
        if added.imported:
            text = re.sub(r"^(?=from pointcmt)", f"{added.imported}\n", text, count=1, flags=re.M)
        table.write_text(text)
    return tree


def test_every_path_of_the_words_is_there() -> None:
    assert HOW is not None
    paths = [p for p in re.findall(r"`([\w./*-]+)`", HOW[1]) if "/" in p]
    assert len(paths) > 8
    assert not [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("added", ADDITIONS, ids=lambda added: added.file)
def test_the_words_name_the_place_and_the_table(added: Addition) -> None:
    assert HOW is not None
    table = added.table.removesuffix("__init__.py")
    assert f"`{Path(added.to).parent}/`" in HOW[1]
    assert f"`{table}" in HOW[1]


def test_one_of_each_is_trained_exported_and_served(tree: Path) -> None:
    clouds(tree / "data")
    np.save(tree / "cloud.npy", np.random.default_rng(1).random((60, 3)))
    (tree / "commands.py").write_text(COMMANDS.format(settings=SETTINGS))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    if compiled := library.load():
        environment["POINTCMT_NATIVE"] = compiled._name
    done = subprocess.run(
        [sys.executable, "-I", "commands.py"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tree / "run/student/config.json").read_text())["student"] == "point-set"
    assert "nearness=" in done.stderr  # the loss, by the name that the method gives it
    assert (tree / "artefact/model.copy").is_file()
    assert "| `model.copy` | a test |" in (tree / "artefact/README.md").read_text()
    assert re.search(r'"label": "(left|right)"', done.stdout)
    assert re.search(r"\d\d passed", done.stdout)
