import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from pointcmt.checkpoint import load_student
from pointcmt.importers.cli import main
from tests.reference.published_dgcnn import dgcnn_state


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "model.1024.t7"
    torch.save({f"module.{k}": t for k, t in dgcnn_state(classes=4).items()}, file)
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_it_writes_a_model_folder_and_prints_its_path_last(weights: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text(
        "\ufeffapple\r\npear\n\nplum\nquince\n", "utf-8"
    )  # as editors on Windows write
    result = run(weights, "--from", "dgcnn-wangyue", "-o", tmp_path / "m", "--classes", names)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == ["dgcnn with 4 classes", str(tmp_path / "m")]
    assert result.stderr == ""
    assert load_student(tmp_path / "m")[1].classes == ("apple", "pear", "plum", "quince")


def test_options_that_the_file_cannot_tell(weights: Path, tmp_path: Path) -> None:
    options = ("--points", 2048, "--option", "k=40", "--normalization", "none", "--json")
    result = run(weights, "--from", "dgcnn-antao97", "-o", tmp_path / "m", *options)
    config = json.loads(result.stdout)["config"]
    assert "name them with --classes" in result.stderr
    assert (config["points"], config["options"]["k"], config["normalization"]) == (2048, 40, "none")
    assert config["classes"] == ["class-0", "class-1", "class-2", "class-3"]
    assert load_student(tmp_path / "m")[0].min_points == 40


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "nowhere"), "unknown source 'nowhere'"),
        (("--from", "pointmlp-maxu"), "would fit --from dgcnn-wangyue or dgcnn-antao97"),
        (("--from", "dgcnn-wangyue", "--points", "0"), "--points 0: must be at least 1"),
        (("--from", "dgcnn-wangyue", "--option", "k"), "--option k: write KEY=VALUE"),
        (
            ("--from", "dgcnn-wangyue", "--option", "k=20", "--option", "k=40"),
            "--option k: is given as 20 and as 40",
        ),
        (("--from", "dgcnn-wangyue", "--normalization", "x"), "--normalization x: use unit-sphere"),
        (("--from", "dgcnn-wangyue", "--classes", "absent.txt"), "absent.txt: cannot be read"),
    ],
)
def test_errors_are_one_sentence(
    weights: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run(weights, "-o", tmp_path / "m", *arguments)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert sentence in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_help_names_every_source() -> None:
    from pointcmt.importers.sources import SOURCES

    text = " ".join(run("--help").output.split())
    assert all(name in text for name in SOURCES)
