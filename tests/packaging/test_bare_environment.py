"""The wheel, alone in an empty environment with its `serve` extra, classifies files."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.reference.tiny_student import CLASSES, METADATA, reference_logits, tiny_model

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
PACKAGES = {"pointcmt", "pointcmt_export", "pointcmt_serve", "pointcmt_training"}

pytestmark = pytest.mark.timeout(600)


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run without this checkout on the path, so that only what is installed can be imported."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, env=clean, cwd=cwd)


def succeed(*command: object, cwd: Path = ROOT) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds nothing; skips where nothing can be installed."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    succeed(UV, "venv", "--python", sys.executable, folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    probe = run(UV, "pip", "install", "--dry-run", "--python", python, "onnxruntime")
    if probe.returncode != 0:
        reason = f"no package index can be reached: {probe.stderr.strip()}"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree; what was compiled for this environment is not compiled again."""
    folder = tmp_path_factory.mktemp("wheel")
    how = ("--wheel", "--no-build-isolation", "--python", sys.executable)
    succeed(UV, "build", *how, "-o", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_installs_the_four_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_the_serve_extra_alone_classifies_files(
    wheel: Path, empty_environment: Path, tmp_path: Path
) -> None:
    python = empty_environment
    succeed(UV, "pip", "install", "--python", python, f"{wheel}[serve]")
    assert run(python, "-c", "import torch", cwd=tmp_path).returncode != 0
    shown = run(python, "-m", "pointcmt.ops", cwd=tmp_path)
    assert shown.returncode != 0
    assert shown.stdout.startswith("pointcmt.native, on numpy arrays: the compiled library (")
    assert shown.stderr.count("\n") == 1
    assert "pip install 'pointcmt[train]'" in shown.stderr
    onnx.save(tiny_model(METADATA), tmp_path / "model.onnx")
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    np.save(tmp_path / "cube.npy", corners)
    (tmp_path / "face.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")

    command = python.with_name("pointcmt-classify")
    answer = succeed(command, ".", "cube.npy", "face.off", "--json", cwd=tmp_path)
    cube, face = json.loads(answer)
    unit = ((corners - 0.5) / 0.75**0.5).astype(np.float32)
    expected = reference_logits(unit[None])[0]
    np.testing.assert_allclose(cube["logits"], expected, atol=1e-5)
    assert cube["label"] == CLASSES[expected.argmax()]
    assert face["label"] in CLASSES


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("pointcmt-train", "--list"), "train"),
        (("pointcmt-data", "list"), "train"),
        (("pointcmt-import", "weights.pt", "--from", "dgcnn-antao97", "-o", "out"), "train"),
        (("pointcmt-export", "run", "-o", "out"), "export"),
        (("pointcmt-classify", ".", "cube.npy"), "serve"),
        (("pointcmt-serve", "."), "server"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_without_an_extra_a_command_names_it(
    wheel: Path, empty_environment: Path, tmp_path: Path, command: tuple[str, ...], extra: str
) -> None:
    python = empty_environment
    succeed(UV, "pip", "install", "--python", python, wheel)
    succeed(UV, "pip", "uninstall", "--python", python, "onnxruntime")
    onnx.save(tiny_model(METADATA), tmp_path / "model.onnx")
    np.save(tmp_path / "cube.npy", np.random.default_rng(0).random((64, 3)))
    done = run(python.with_name(command[0]), *command[1:], cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert f"pip install 'pointcmt[{extra}]'" in done.stderr
