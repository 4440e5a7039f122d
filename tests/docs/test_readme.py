"""README's commands and its Python, as they stand there, on a small model made on the spot."""

import re
import shlex
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pointcmt.checkpoint import ModelConfig, save_student
from pointcmt.data import SHAPES_CLASSES
from pointcmt.models import create_student
from pointcmt_export.cli import main as export
from pointcmt_export.formats.requirements import BUILT
from pointcmt_serve.commands.classify import main as classify
from pointcmt_training import dry_run
from pointcmt_training.cli import main as train
from pointcmt_training.rehearsal import Need
from tests.reference.small_students import small_options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text()
COMMANDS = {"pointcmt-train": train, "pointcmt-export": export, "pointcmt-classify": classify}
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
LINES = [line for language, block in BLOCKS if not language for line in block.splitlines()]
CUBE = """OFF
8 6 0
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
4 0 3 2 1
4 4 5 6 7
4 0 1 5 4
4 2 3 7 6
4 0 4 7 3
4 1 2 6 5
"""


def lines(command: str) -> list[str]:
    return [line for line in LINES if line.startswith(command)]


def run(line: str, *more: str) -> str:
    command, *arguments = shlex.split(line, comments=True)
    result = CliRunner().invoke(COMMANDS[command], [*arguments, *more])
    assert result.exit_code == 0, f"{line}: {result.output} {result.exception!r}"
    return result.output


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    options = small_options("pointnet")
    config = ModelConfig("pointnet", options, SHAPES_CLASSES, points=64)
    student = create_student("pointnet", len(SHAPES_CLASSES), **options)
    save_student(tmp_path / "RUN" / "student", student, config)
    Path("chair.off").write_text(CUBE)
    points = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    np.save("cloud.npy", points)
    header = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    rows = "".join(f"{x} {y} {z}\n" for x, y, z in points)
    Path("scan.ply").write_text(f"{header}end_header\n{rows}")
    return tmp_path


@pytest.mark.parametrize("line", lines("pointcmt-train"))
def test_a_training_command_is_ready_to_start(
    line: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "rehearse", lambda *_: defaultdict(lambda: Need(0.0, 0)))
    if "FOLDER" in line:
        line = line.replace("FOLDER", str(request.getfixturevalue("modelnet40_root")))

    assert run(line, *([] if "--list" in line else ["--dry-run"]))


def test_exporting_and_classifying_go_as_written(place: Path) -> None:
    for line in lines("pointcmt-export"):
        if "--format trt" in line:
            continue  # needs TensorRT itself; what is said without it has tests of its own
        if "--format web" in line and not BUILT.is_dir():
            continue  # needs the page that `make page` builds
        small = (
            ["--seconds", "0.01", "--engine", "onnxruntime"]
            if " bench " in line
            else ["--batches", "2", "--points", "64"]
        )
        run(line.replace("modelnet40:FOLDER", "shapes:2"), *small)
    (line,) = [line for line in lines("pointcmt-classify") if line.split()[1] == "DIR"]
    assert len(run(line).splitlines()) == 3

    (code,) = [block for language, block in BLOCKS if language == "python"]
    names = {"points": np.load("cloud.npy")}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    assert names["prediction"].label in names["classifier"].classes


def test_what_the_readme_installs_and_makes_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)

    named = [name for line in lines("pip") for name in re.findall(r"\[([\w,-]+)\]", line)]
    made = [line.split()[1] for line in lines("make")]

    assert named
    assert {name for names in named for name in names.split(",")} <= set(
        project["optional-dependencies"]
    )
    assert made[:2] == ["demo", "test"]
    assert set(made) <= set(targets)
