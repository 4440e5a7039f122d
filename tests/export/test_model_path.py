"""What stands for a model: a path, or the name of a shipped student."""

from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt_export.model_path import locate
from pointcmt_export.onnx_file import read_onnx
from pointcmt_export.source import open_source
from pointcmt_serve import pretrained


@pytest.mark.parametrize("name", pretrained.names())
def test_a_shipped_student_goes_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()  # of the data set, say
    monkeypatch.chdir(tmp_path)
    source = open_source(name)
    model, _ = read_onnx(pretrained.located(Path(name)))
    stated = {entry.key: entry.value for entry in model.metadata_props}
    assert source.fingerprint() == stated["pointcmt.weights_sha256"]


@pytest.mark.parametrize(("inside", "kind"), [("", "model folder"), ("student", "run folder")])
def test_ones_own_model_of_that_name_comes_first(
    inside: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path("modelnet40") / inside
    (tmp_path / own).mkdir(parents=True)
    (tmp_path / own / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert locate(Path("modelnet40")) == (kind, own)


def test_a_name_that_nothing_has_tells_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="or one of modelnet40, modelnet40-turned, shapes"):
        locate(tmp_path / "modelnet")
