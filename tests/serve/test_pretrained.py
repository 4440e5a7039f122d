"""The students that come with the package."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pointcmt.data import ModelNet40, Shapes
from pointcmt.data.augment import Augmentation
from pointcmt.errors import InputError
from pointcmt.geometry import sample_mesh
from pointcmt_serve import Classifier
from pointcmt_serve.http.launch import read_source
from pointcmt_serve.pretrained import FOLDER, located, names

MIB = 2**20


def test_modelnet40_is_shipped_below_its_size() -> None:
    assert "modelnet40" in names()
    assert (FOLDER / "modelnet40" / "model.onnx").stat().st_size < 2 * MIB
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 10 * MIB


@pytest.mark.parametrize("name", names())
def test_every_shipped_student_says_what_it_is_and_passed_its_checks(name: str) -> None:
    artefact = Classifier(name).artefact
    assert artefact.up == "y"
    assert artefact.provenance["selection"] == "last"
    card = (FOLDER / name / "README.md").read_text()
    assert artefact.student in card
    assert "research" in card or name == "shapes"
    report = json.loads((FOLDER / name / "export_report.json").read_text())
    assert {check["status"] for check in report["checks"]} <= {"passed", "not run"}


@pytest.mark.parametrize("name", ["modelnet40", "modelnet40-turned"])
def test_a_student_of_modelnet40_is_as_accurate_as_its_card_says(
    name: str, modelnet40_root: Path
) -> None:
    test = ModelNet40(modelnet40_root, "test", 1024)
    chosen = np.random.default_rng(0).permutation(len(test))[:400]
    classifier = Classifier(name)
    provenance = classifier.artefact.provenance
    claims = [(test.points[chosen], provenance["overall accuracy"])]
    if name == "modelnet40-turned":
        ids = torch.arange(len(chosen))
        turned = Augmentation(rotate=180, up="y")(torch.from_numpy(claims[0][0]), ids, 0, 1)
        claims.append((turned.numpy(), provenance["overall accuracy, turned about the vertical"]))
    for clouds, claimed in claims:
        right = [p.index for p in classifier(clouds)] == test.labels[chosen]
        assert abs(np.mean(right) - claimed) < 4 * (claimed * (1 - claimed) / 400) ** 0.5


def test_chairs_and_bottles_that_it_never_saw_are_recognised() -> None:
    shapes = Shapes("test", per_class=8)
    classifier = Classifier("modelnet40")
    for wanted in ("bottle", "chair"):
        meshes = [i for i, label in enumerate(shapes.labels) if shapes.classes[label] == wanted]
        answers = classifier([sample_mesh(shapes.mesh(i), 1024, i)[0] for i in meshes])
        assert sum(wanted in [c.label for c in a.top(3)] for a in answers) >= 6


@pytest.mark.parametrize("file", ["", "model.onnx", "model.engine", "1/model.onnx"])
def test_what_was_exported_under_that_name_comes_first(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = Path("modelnet40/chair/train/chair_0001.off")  # a data set's folder may be called so
    data.parent.mkdir(parents=True)
    data.touch()
    assert located(Path("modelnet40")) == FOLDER / "modelnet40"
    exported = Path("modelnet40") / (file or "../modelnet40.onnx")
    exported.parent.mkdir(exist_ok=True)
    exported.touch()
    assert located(Path("modelnet40")) == (Path("modelnet40") if file else FOLDER / "modelnet40")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no such file.*modelnet40"):
        Classifier("modelnet41")


@pytest.mark.parametrize("word", ["modelnet40", "chairs=modelnet40,threads=1"])
def test_the_server_takes_the_name_too(word: str) -> None:
    assert read_source(word, None).folder == FOLDER / "modelnet40"
