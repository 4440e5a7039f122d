"""`pointcmt-export` at the door: its flags, and one sentence for every bad input."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from pointcmt_export.cli import main
from pointcmt_serve.engines import tensorrt_library
from tests.reference.small_students import small_model

Spoil = Callable[[Path], Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_model_is_exported_and_the_table_ends_with_the_folder(
    plain_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run(plain_folder, "-o", out, "--format", "triton", "--batches", "1", "--points", "40")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1] == str(out)
    assert any(line.startswith("structure") and "passed" in line for line in lines)
    assert (out / "triton" / "pointnet" / "config.pbtxt").is_file()


def test_a_failed_check_is_shown_and_exits_with_one(plain_folder: Path, tmp_path: Path) -> None:
    flags = ("--batches", "1", "--points", "40", "--max-logit-difference", "0", "--json")
    result = run(plain_folder, "-o", tmp_path / "out", *flags)
    assert result.exit_code == 1
    text, _, error = result.output.rpartition("Error: ")
    assert json.loads(text)["status"] == "failed"
    assert "nothing was written" in error
    assert not (tmp_path / "out").exists()


def test_help_tells_the_default_limits() -> None:
    text = run("export", "--help").output
    for said in ("1e-4", "0.3 in fp16", "NAME:FOLDER", "trt-rtx", "host"):
        assert said in text


def test_without_a_model_the_commands_are_listed() -> None:
    assert "bench" in run("--help").output


def nothing(place: Path) -> Path:
    return place / "no-such-model"


def an_empty_folder(place: Path) -> Path:
    return place


def a_pickle(place: Path) -> Path:
    torch.save({"weight": torch.zeros(3)}, place / "model.pth")
    return place / "model.pth"


def a_truncated_checkpoint(place: Path) -> Path:
    save_file({"student.weight": torch.zeros(300)}, place / "checkpoint.safetensors")
    content = (place / "checkpoint.safetensors").read_bytes()
    (place / "checkpoint.safetensors").write_bytes(content[:200])
    return place / "checkpoint.safetensors"


def a_foreign_checkpoint(place: Path) -> Path:
    save_file({"module.fc.weight": torch.zeros(3)}, place / "foreign.safetensors")
    return place / "foreign.safetensors"


def a_damaged_configuration(place: Path) -> Path:
    (place / "config.json").write_text("{]")
    return place


def code_in_a_folder(place: Path) -> Path:
    small_model(place / "model", "pointnet")
    file = place / "model" / "config.json"
    file.write_text(file.read_text().replace('"pointnet"', '"this:x"'))
    return place / "model"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (nothing, "no such file or folder; give a run folder"),
        (an_empty_folder, "neither a model folder"),
        (a_pickle, "not a .safetensors training checkpoint"),
        (a_truncated_checkpoint, "no readable safetensors file"),
        (a_foreign_checkpoint, "not a PointCMT training checkpoint"),
        (a_damaged_configuration, "not a PointCMT model configuration"),
        (code_in_a_folder, "if you trust it, allow it with --allow-code this:x"),
    ],
)
def test_a_bad_source_is_one_sentence(spoil: Spoil, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    result = run(spoil(tmp_path / "in"), "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert sentence in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--data", "imagenet"), "unknown data set 'imagenet': use one of shapes, modelnet40"),
        (("--data", "shapes"), "name the data set it was trained on"),
        (("--data", "modelnet40:/no/such/folder"), "/no/such/folder"),
        (("--min-speedup", "2"), "name one with --data"),
        (("--batches", "1,x"), "whole numbers separated by commas"),
        (("--batches", "0"), "1 or more"),
        (
            ("--points", "100000000"),
            "not 32 clouds of 100000000",
        ),
        (("--batches", "99999"), "batches of 1,000,000 points or fewer, not 99999 clouds of 2048"),
        (("--max-logit-difference", "nan"), "nan is not a finite number"),
        (("--max-mean-difference", "inf"), "inf is not a finite number"),
        (("--max-median-difference", "-1"), "-1.0 is not in the range x>=0"),
        (("--max-accuracy-difference", "-inf"), "is not in the range x>=0"),
        (("--min-agreement", "2"), "2.0 is not in the range 0<=x<=1"),
        (("--min-speedup", "nan"), "nan is not a finite number"),
        (("--profile-points", "1,2"), "3 whole numbers"),
        (("--profile-points", "9,8,7"), "rising order"),
        (("--format", "tflite"), "tflite"),
        (("--sampling", "device"), "is for --format trt or trt-rtx, whose engines sample on their"),
    ],
)
def test_a_bad_flag_is_one_sentence(
    flags: tuple[str, str], sentence: str, ssg_folder: Path, tmp_path: Path
) -> None:
    result = run(ssg_folder, "-o", tmp_path / "out", *flags)
    assert result.exit_code != 0
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("form", "module", "extra"),
    [
        ("trt", "tensorrt", "pointcmt[trt]"),
        ("trt-rtx", "tensorrt_rtx", "pointcmt[trt-rtx]"),
        ("openvino", "openvino", "pointcmt[openvino]"),
    ],
)
def test_a_missing_package_names_its_extra(
    form: str,
    module: str,
    extra: str,
    ssg_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (module, *tensorrt_library.MODULES["trt-rtx"]):
        monkeypatch.setitem(sys.modules, name, None)
    result = run(ssg_folder, "-o", tmp_path / "out", "--format", form)
    assert result.exit_code == 1
    assert extra in result.output
    assert not (tmp_path / "out").exists()
