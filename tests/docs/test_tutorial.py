"""The tutorial: its recipe and its commands, in order, on a small set made on the spot."""

import re
import shlex
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pointcmt.data.cli import main as data
from pointcmt_export.cli import main as export
from pointcmt_serve.commands.classify import main as classify
from pointcmt_training.cli import main as train

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
COMMANDS = {
    "pointcmt-data": data,
    "pointcmt-train": train,
    "pointcmt-export": export,
    "pointcmt-classify": classify,
}
SMALLER = {  # numbers of the page, for the test's time
    r"epochs: \d+": "epochs: 1",
    r"points: 512": "points: 64",
    r"points: 256": "points: 16",
    r"\[64, 16\]": "[16, 8]",
    r"\[\[16\], \[16\]\]": "[[4], [4]]",
    "--views ring12 --size 128": "--views six --size 32",
}
BOX = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
SIDES = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))
HALVES = {"mug": (0.5, 1, 0.5), "plate": (1, 0.1, 1)}


def textured(folder: Path, halves: tuple[float, ...], seed: int) -> None:
    """A box with a picture on each side, as `model.obj` with its material."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    corners = BOX * np.array(halves) * random.uniform(0.8, 1.2, 3)
    lines = ["mtllib model.mtl", "usemtl paint", *(f"v {x} {y} {z}" for x, y, z in corners)]
    lines += ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1"]
    lines += ["f " + " ".join(f"{v}/{i}" for i, v in enumerate(s, 1)) for s in SIDES]
    (folder / "model.obj").write_text("\n".join(lines) + "\n")
    (folder / "model.mtl").write_text("newmtl paint\nmap_Kd paint.png\n")
    Image.fromarray(random.integers(60, 255, (8, 8, 3), np.uint8)).save(folder / "paint.png")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    for pattern, smaller in SMALLER.items():
        found = [re.sub(pattern, smaller, block) for block in found]
    return found


def test_the_tutorial_leads_from_models_to_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyvista")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    for name, halves in HALVES.items():
        for split, count in (("train", 5), ("test", 2)):
            for index in range(count):
                folder = Path("models", name, split, f"{name}{index}")
                textured(folder, halves, zlib.crc32(str(folder).encode()))
    (recipe,) = blocks("yaml")
    Path("mine.yaml").write_text(recipe)
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    outputs = {}
    for line in lines:
        command, *arguments = shlex.split(line)
        if command == "pip":
            continue
        result = CliRunner().invoke(COMMANDS[command], arguments)
        assert result.exit_code == 0, f"{line}: {result.output} {result.exception!r}"
        outputs[command] = result.output

    assert len(list(Path("models-views").rglob("*.png"))) == 14 * 6
    assert Path("sheet.png").is_file()
    for run in ("mine", "control"):
        assert Path("runs", run, "report.html").is_file()
    answered = [line for line in outputs["pointcmt-classify"].splitlines() if "model.obj" in line]
    assert len(answered) == 14
    for block in blocks("python"):
        exec(compile(block, "tutorial.md", "exec"), {})  # noqa: S102
