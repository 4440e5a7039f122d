"""A user's own student: the page's example is trained and exported; what is wrong is said."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pointcmt.checkpoint import load_student
from pointcmt.errors import InputError
from pointcmt.models import Student, create_student
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Options
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

PAGE = Path(__file__).parents[2] / "docs" / "students.md"
NAME = "my_package.my_module:MyNet"
OTHERS = '''
import torch

class NoClassify(torch.nn.Module):
    """Keeps half of the protocol."""

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes, self.feature_dim = num_classes, 8

    def encode(self, points):
        return points

class Refuses(torch.nn.Module):
    def __init__(self, num_classes):
        raise ValueError("only even numbers of classes")

class Breaks(torch.nn.Module):
    def __init__(self, num_classes):
        raise RuntimeError("boom")

class Whole(torch.nn.Module):
    """Keeps the protocol, but for what `changes` says."""

    changes = {}

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes, self.feature_dim, self.min_points = num_classes, 8, 1
        self.layer, self.classifier = torch.nn.Linear(3, 8), torch.nn.Linear(8, num_classes)
        for name, value in self.changes.items():
            setattr(self, name, value)

    def encode(self, points):
        return self.layer(points).amax(1)

    def classify(self, features):
        return self.classifier(features)

    def forward(self, points):
        return self.classify(self.encode(points))

class OtherClasses(Whole):
    changes = {"num_classes": 40}

class TextPoints(Whole):
    changes = {"min_points": "16"}

class NoPoints(Whole):
    changes = {"min_points": 0}

class RealPoints(Whole):
    changes = {"min_points": 16.0}

class RealFeatures(Whole):
    changes = {"feature_dim": 8.0}

class Lazy(Whole):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.layer = torch.nn.LazyLinear(8)

class Extra(Whole):
    def get_extra_state(self):
        return {"epoch": 1}

def function(num_classes):
    raise AssertionError("called")
'''


@pytest.fixture(autouse=True)
def _on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of the user's with the page's example, and one with mistakes."""
    example = max(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL), key=len)
    package = tmp_path / "path" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "my_module.py").write_text(example)
    (package / "others.py").write_text(OTHERS)
    (package / "broken.py").write_text("class MyNet(")
    (package / "raising.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(package.parent)
    yield
    for module in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[module]


def test_the_example_is_a_student() -> None:
    student: Any = create_student(NAME, 5, feature_dim=64, k=4)
    assert isinstance(student, Student)
    points = torch.rand(2, 20, 3)
    torch.testing.assert_close(student(points), student.classify(student.encode(points)))
    assert student(points).shape == (2, 5)


def test_the_example_is_trained_and_exported(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = [
        f"student={NAME}",
        "options={feature_dim: 64, k: 4}",
        "data.points=32",
        "data.per_class=3",
        "views.size=16",
        "teacher.batch_size=12",
        "teacher.epochs=1",
        "teacher.width=0.25",
        "generator.points=16",
        "generator.batch_size=12",
        "generator.epochs=1",
        "training.batch_size=12",
        "training.epochs=1",
        "device=cpu",
    ]
    run(load_config("shapes", settings), tmp_path / "run")
    student, config = load_student(tmp_path / "run" / "student", [NAME])
    assert config.student == NAME
    assert student.feature_dim == 64
    options = Options(grid=Grid(batches=(1, 2), points=(32, 40)), allow=(NAME,))
    assert export(tmp_path / "run", tmp_path / "artefact", options).status == "passed"
    assert (tmp_path / "artefact" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my_package.nowhere:MyNet", "cannot be imported: No module named 'my_package.nowhere'"),
        ("my_package.my_module:YourNet", "cannot be imported: .* no attribute 'YourNet'"),
        ("my_package.my_module:", "cannot be imported"),
        (":MyNet", "cannot be imported"),
        ("my_package.others:function", "not a torch.nn.Module class"),
        ("os:system", "not a torch.nn.Module class"),
        ("my_package.others:NoClassify", "lacks min_points, classify"),
        ("my_package.others:Breaks", "cannot be built: boom"),
        ("my_package.broken:MyNet", "cannot be imported: .*never closed"),
        ("my_package.raising:MyNet", "cannot be imported: no licence"),
        ("../my_package:MyNet", "cannot be imported"),
        ("my_package.others:Refuses", "cannot be built: only even numbers of classes"),
        ("my_package.others:OtherClasses", "num_classes must be the 5 it was built with, not 40"),
        ("my_package.others:TextPoints", "min_points must be a whole number above 0"),
        ("my_package.others:NoPoints", "min_points must be a whole number above 0"),
        ("my_package.others:RealPoints", "min_points must be a whole number above 0"),
        ("my_package.others:RealFeatures", "feature_dim must be a whole number above 0"),
        ("my_package.others:Lazy", "layer.weight of its state_dict must be a tensor of known"),
        ("my_package.others:Extra", "_extra_state of its state_dict must be a tensor of known"),
    ],
)
def test_what_is_wrong_with_a_class_is_said(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        create_student(name, 5)


def test_a_class_that_keeps_the_protocol_is_taken() -> None:
    assert create_student("my_package.others:Whole", 5).num_classes == 5


def test_unknown_option_of_an_own_student_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no option 'feature_dims': use 'feature_dim'"):
        create_student(NAME, 5, feature_dims=8)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"width": 0}, "width must be a finite number above 0, not 0"),
        ({"width": float("nan")}, "width must be a finite number above 0, not nan"),
        ({"num_classes": 3}, "num_classes follows from the data"),
        ({"name": "x"}, "no option 'name'"),
        ({"feature_dim": -3}, "cannot be built"),
    ],
)
def test_an_option_that_makes_no_student_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        create_student("pointnet", 5, **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"centres": "foo"}, "centres must be 2 whole numbers above 0, got 'foo'"),
        ({"centres": 5}, "centres must be 2 whole numbers"),
        ({"neighbours": [[0], [4]]}, "neighbours must be 2 lists of 1 whole numbers above 0"),
        ({"neighbours": [[4, 8], [4]]}, "neighbours must be 2 lists of 1 whole numbers above 0"),
    ],
)
def test_counts_that_do_not_fit_the_levels_are_refused(
    options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        create_student("pointnet2-ssg", 5, **options)
