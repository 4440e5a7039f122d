"""A student whose accuracy nobody measured is exported with a warning."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pointcmt.checkpoint import save_student
from pointcmt_export import exporter
from pointcmt_export.cli import main
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.source import open_source
from pointcmt_export.verify.gate import Expectation


@pytest.mark.parametrize("measured", [False, True])
def test_a_student_of_unknown_accuracy_is_warned_of(
    ssg_folder: Path,
    converted: tuple[Converted, Expectation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: bool,
) -> None:
    source = open_source(ssg_folder)
    if measured:
        source.config.provenance["overall accuracy"] = 0.9  # type: ignore[index]
    model = save_student(tmp_path / "model", source.student, source.config)
    monkeypatch.setattr(exporter, "convert", lambda *_: converted)
    monkeypatch.setattr(exporter, "structure_checks", lambda *_: [])
    result = CliRunner().invoke(main, [str(model), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    card = (tmp_path / "out" / "README.md").read_text()
    for text in (result.stderr, card):
        assert ("nobody has measured the accuracy" in text) is not measured
