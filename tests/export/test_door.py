"""What forbids an export is said before torch is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pointcmt.checkpoint import load_network, save_training_checkpoint
from pointcmt.errors import InputError
from pointcmt.models import SEGMENTERS, STUDENTS
from pointcmt_export.door import keep_options, require_possible, require_replaceable
from pointcmt_export.formats.requirements import SAMPLING
from pointcmt_export.options import Options
from pointcmt_export.verify.runners import samples_points
from tests.models.test_segmenters import small
from tests.reference.small_students import small_student

REFUSALS = """
import sys
from pathlib import Path
from click.testing import CliRunner
from pointcmt_export.cli import main

model, out = sys.argv[1:]
for flags, sentence in (
    ("--format openvino", "use --sampling host"),
    ("--format web --sampling host", "--format web"),
    ("--min-speedup 2", "name one with --data"),
    ("--precision int8 --format web --data shapes", "is for --format onnx or openvino, not web"),
    ("--precision bf16 --format openvino --sampling host", "name a data set with --data"),
    ("--data imagenet", "unknown data set"),
):
    result = CliRunner().invoke(main, [model, "-o", out, *flags.split()])
    assert (result.exit_code, result.output.count("\\n")) == (1, 1), result.output
    assert sentence in result.output, result.output
assert CliRunner().invoke(main, [model, "-o", model]).exit_code == 1
assert CliRunner().invoke(main, [model + "-absent", "-o", out]).exit_code == 1
assert "torch" not in sys.modules
"""


def test_impossible_exports_are_refused_without_torch(ssg_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", REFUSALS, str(ssg_folder), str(tmp_path / "out")]
    subprocess.run(command, check=True)


def exported(folder: Path) -> Path:
    """What a folder that an export wrote looks like to the next one."""
    folder.mkdir()
    for name in ("model.onnx", ".DS_Store", "serving.json"):
        (folder / name).write_text("{}")
    (folder / "export_report.json").write_text(json.dumps({"files": {"model.onnx": ""}}))
    return folder


@pytest.mark.parametrize("name", ["model/config.json", "notes.txt", "1/model.onnx"])
def test_what_an_export_did_not_write_is_not_replaced(name: str, tmp_path: Path) -> None:
    out = exported(tmp_path / "out")
    require_replaceable(out, tmp_path / "model")
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("kept")
    with pytest.raises(InputError, match=f"holds {name}, which .* would be lost"):
        require_replaceable(out, tmp_path / "model")


@pytest.mark.parametrize("report", ["", "{", "[]", '{"files": 1}'])
def test_nothing_is_replaced_where_the_report_is_damaged(report: str, tmp_path: Path) -> None:
    out = exported(tmp_path / "out")
    (out / "export_report.json").write_text(report)
    with pytest.raises(InputError, match=r"holds model\.onnx, which .* would be lost"):
        require_replaceable(out, tmp_path / "model")


def test_a_model_in_the_folder_to_write_is_not_replaced(tmp_path: Path) -> None:
    out = exported(tmp_path / "out")
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(InputError, match="would be lost"):
        require_replaceable(tmp_path / "link", out / ".runs" / "student")


def test_serving_options_are_kept(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    keep_options(fresh, tmp_path / "new")  # there are none
    keep_options(exported(tmp_path / "out"), fresh)
    assert [file.name for file in fresh.iterdir()] == ["serving.json"]


@pytest.mark.parametrize("place", ["run", "run/checkpoint.safetensors"])
def test_runs_and_training_checkpoints_are_read_too(
    place: str, ssg_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "student").symlink_to(ssg_folder)
    student, config = load_network(ssg_folder)
    save_training_checkpoint(run / "checkpoint.safetensors", config, student)
    with pytest.raises(InputError, match="use --sampling host"):
        require_possible(tmp_path / place, tmp_path / "out", Options(format="openvino"))


@pytest.mark.parametrize("name", [*STUDENTS, *SEGMENTERS])
def test_the_table_of_networks_that_sample_is_true(name: str) -> None:
    network = small_student(name) if name in STUDENTS else small(name)
    channels = 3 if name in STUDENTS else network.channels
    assert samples_points(network, channels) == (name in SAMPLING)
