"""`--format triton` and `all`: how Triton runs what was exported, and what it cannot."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointcmt.checkpoint import save_student
from pointcmt.errors import InputError
from pointcmt_export.door import require_possible
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Options
from pointcmt_serve.engines import open_session
from tests.reference.small_students import CLASSES, POINTS, small_config, small_student

QUICK = Grid(batches=(2,), points=(48,))


@pytest.mark.parametrize("form", ["triton", "all"])
def test_what_the_host_samples_runs_in_tritons_python_backend(
    form: str, ssg_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("openvino", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / "out"
    options = Options(format=form, sampling="host", grid=QUICK)
    found = {check.name: check for check in export(ssg_folder, out, options).checks}
    assert (found["triton"].status, "Python backend" in found["triton"].detail) == ("passed", True)
    place = out / "triton" / "pointnet2-ssg"
    assert {file.name for file in (place / "1").iterdir()} == {"model.onnx", "model.py"}
    assert 'backend: "python"' in (place / "config.pbtxt").read_text()
    clouds = np.random.default_rng(0).normal(size=(2, POINTS, 3)).astype(np.float32)
    there = open_session(place / "1", device="cpu")(clouds)
    np.testing.assert_array_equal(there, open_session(out, device="cpu")(clouds))


def test_a_student_that_samples_nothing_needs_no_python(plain_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(plain_folder, out, Options(format="triton", sampling="host", grid=QUICK))
    assert {file.name for file in (out / "triton/pointnet/1").iterdir()} == {"model.onnx"}


def test_a_class_name_of_two_lines_is_refused_at_the_door(tmp_path: Path) -> None:
    config = replace(small_config("pointnet"), classes=("a\nb", *CLASSES[1:]))
    folder = save_student(tmp_path / "model", small_student("pointnet"), config)
    with pytest.raises(InputError, match=r"^--format triton: a class name is longer"):
        require_possible(folder, tmp_path / "out", Options(format="triton"))
