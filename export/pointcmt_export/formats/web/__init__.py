"""A folder that any static host can serve: a page that classifies files in the browser.

The page's sources are in `page/`; `make page` bundles them with the packages that they use.
"""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pointcmt.data.shapes import furniture, vessels
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.geometry import XYZ, Mesh
from pointcmt_export.formats.format import Format, Job, Write
from pointcmt_export.formats.requirements import BUILT, require_built
from pointcmt_export.onnx_file import read_onnx
from pointcmt_export.options import Options
from pointcmt_export.source import Source
from pointcmt_export.verify import Check
from pointcmt_export.verify.check import decide
from pointcmt_export.verify.runners import metadata
from pointcmt_serve.engines.further_outputs import further_outputs

FOLDER = "web"
EXAMPLES = {
    "chair": furniture.chair,
    "table": furniture.table,
    "sofa": furniture.sofa,
    "lamp": vessels.lamp,
    "bottle": vessels.bottle,
    "cup": vessels.cup,
}
DIGITS = 4  # of an example's coordinates


def writer(form: Format, source: Source, options: Options) -> Write:
    """Return what writes the page `web/` that serves the ONNX file."""
    return write


def write(job: Job) -> list[Check]:
    """Write the page `web/` beside the ONNX file."""
    place = write_page(job.folder, job.folder / FOLDER)
    served = (place / "model.onnx").read_bytes() == (job.folder / "model.onnx").read_bytes()
    detail = f"{FOLDER}/ serves the verified model.onnx"
    return [decide(FOLDER, served, detail if served else f"{FOLDER}/ holds another model")]


def write_page(folder: Path, target: Path) -> Path:
    """Write a page for the student in an exported folder; return `target`.

    Args:
        folder: holds a `model.onnx` that samples in the graph.
        target: the folder to write, replaced if it is there.

    Raises:
        InputError: the page is not built, there is no such student, or the place cannot be written.
    """
    require_built()
    model = described(folder)
    with write_beside(target) as fresh:
        shutil.copytree(BUILT, fresh)
        shutil.copyfile(folder / "model.onnx", fresh / "model.onnx")
        (fresh / "model.json").write_text(json.dumps(model), encoding="utf-8")
        (fresh / "examples").mkdir()
        for name, make in EXAMPLES.items():
            text = off(make(np.random.default_rng(1)).mesh)
            (fresh / "examples" / f"{name}.off").write_text(text, encoding="ascii")
    return target


def described(folder: Path) -> dict[str, Any]:
    """Return what the page must know of a student, and of numpy's random numbers."""
    onnx, student = read_onnx(folder)
    if student.steps or student.channels != XYZ:
        raise InputError(f"{folder}: wants more than x, y, z of points, which the page has not")
    tells = student.maxima is not None and student.maxima.last is not None
    tensors = student.maxima.tensors if student.maxima and tells else []
    seeded: Any = np.random.default_rng(0).bit_generator.state["state"]
    return {
        "student": student.student,
        "classes": list(student.classes),
        "points": student.points,
        "normalization": student.normalization,
        "up": student.up,
        "random": {name: str(value) for name, value in seeded.items()},
        "explain": json.loads(metadata(onnx)["explain"]) if tells else None,
        "tensors": tensors,
        "further_outputs": base64.b64encode(further_outputs(tensors)).decode(),
        "examples": [{"name": n, "file": f"examples/{n}.off", "up": "y"} for n in EXAMPLES],
    }


def off(mesh: Mesh) -> str:
    """Return a mesh as Object File Format."""
    rows = [*mesh.vertices.round(DIGITS).tolist(), *([3, *face] for face in mesh.faces.tolist())]
    lines = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    return f"OFF\n{len(mesh.vertices)} {len(mesh.faces)} 0\n{lines}"
