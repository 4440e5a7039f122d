"""A table's runs on Ray, each after the stages that it needs, and the table that they make."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pointcmt_training.cli import main
from tests.training.tiny import TINY

SCRIPT = Path(__file__).parents[2] / "examples" / "ray" / "train_table.py"
WORDS = ("data.name=shapes", *TINY)


@pytest.mark.timeout(600)
def test_ray_trains_what_the_command_then_finds_finished(
    local_ray: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = runpy.run_path(str(SCRIPT))["main"]
    assert train("10", str(tmp_path), *WORDS) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": done")]
    assert [line.partition("/")[0] for line in told] == ["stages", "runs"]
    planned = CliRunner().invoke(main, ["table", "10", *WORDS, "-o", str(tmp_path), "--dry-run"])
    assert [line[:7] for line in planned.output.splitlines()] == ["done  s", "done  r"]
    assert train("10", str(tmp_path / "other"), *WORDS, "training.batch_size=9999") == 1
    assert "training.batch_size" in capsys.readouterr().out
