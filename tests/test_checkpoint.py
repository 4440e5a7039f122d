"""Model folders and training checkpoints: round trips, and files that must be refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pointcmt.checkpoint import (
    ModelConfig,
    load_student,
    read_training_checkpoint,
    save_student,
    save_training_checkpoint,
)
from pointcmt.errors import InputError
from pointcmt.models import Student, create_student

OPTIONS = {"width": 0.25, "centres": [16, 8], "neighbours": [[4], [4]]}
CONFIG = ModelConfig(
    student="pointnet2-ssg",
    options=OPTIONS,
    classes=("chair", "table", "lamp"),
    points=32,
    provenance={"seed": 3},
)


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    return create_student(CONFIG.student, 3, **OPTIONS).eval()


@pytest.fixture
def folder(tmp_path: Path, student: Student) -> Path:
    return save_student(tmp_path / "model", student, CONFIG)


def test_a_model_folder_gives_back_the_same_student(folder: Path, student: Student) -> None:
    loaded, config = load_student(folder)
    cloud = torch.rand(2, 32, 3)
    assert config == CONFIG
    assert torch.equal(loaded(cloud), student(cloud))


class Tied(nn.Module):
    """A student of one's own that has one layer under two names."""

    num_classes, feature_dim, min_points = 3, 3, 1

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.encode = nn.Linear(3, 3)
        self.classify = self.encode

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.classify(self.encode(points).amax(1)))


def test_a_layer_may_have_two_names(tmp_path: Path) -> None:
    name = f"{Tied.__module__}:Tied"
    student = Tied()
    folder = save_student(tmp_path / "model", student, replace(CONFIG, student=name, options={}))
    save_training_checkpoint(tmp_path / "checkpoint.safetensors", CONFIG, student)
    loaded, _ = load_student(folder, allow=[name])
    cloud = torch.rand(2, 32, 3)
    assert torch.equal(loaded(cloud), student(cloud))
    assert isinstance(loaded, Tied)
    assert loaded.encode.weight is loaded.classify.weight


def test_a_model_folder_holds_a_card_and_no_pickle(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert "chair, table, lamp" in (folder / "README.md").read_text()


def test_a_training_checkpoint_keeps_the_three_parts_apart(
    tmp_path: Path, student: Student
) -> None:
    teacher, generator = nn.Linear(4, 3), nn.Linear(5, 2)
    path = save_training_checkpoint(
        tmp_path / "all.safetensors", CONFIG, student, teacher=teacher, generator=generator
    )
    config, parts = read_training_checkpoint(path)
    assert config == CONFIG
    assert set(parts) == {"student", "teacher", "generator"}
    assert torch.equal(parts["teacher"]["weight"], teacher.weight)
    assert set(parts["student"]) == set(student.state_dict())


def test_a_training_checkpoint_of_other_parts_is_refused_by_name(
    tmp_path: Path, student: Student
) -> None:
    path = tmp_path / "all.safetensors"
    save_training_checkpoint(path, CONFIG, student, critic=nn.Linear(4, 3))
    with pytest.raises(InputError, match=r"not a PointCMT training checkpoint \(critic inside\)"):
        read_training_checkpoint(path)


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weight": print}))


def _other_architecture(folder: Path) -> None:
    _edit(folder, student="pointnet2-msg", options={})


def _other_size(folder: Path) -> None:
    _edit(folder, classes=["chair", "table"])


def _unknown_student(folder: Path) -> None:
    _edit(folder, student="pointnet3")


def _no_classes(folder: Path) -> None:
    _edit(folder, classes=None)


def _not_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _not_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")


def _foreign(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _edit(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _pickle,
        _other_architecture,
        _other_size,
        _unknown_student,
        _no_classes,
        _not_json,
        _not_text,
        _foreign,
        _no_weights,
    ],
)
def test_a_damaged_or_foreign_folder_is_one_sentence(folder: Path, damage: object) -> None:
    damage(folder)  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        load_student(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_says_what_a_model_folder_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json and model\.safetensors"):
        load_student(tmp_path / "nowhere")


def test_a_plain_safetensors_file_is_no_training_checkpoint(folder: Path) -> None:
    with pytest.raises(InputError, match="not a PointCMT training checkpoint"):
        read_training_checkpoint(folder / "model.safetensors")


def test_channels_and_the_vertical_axis_are_stated() -> None:
    names = ("x", "y", "z", "r", "g", "b")
    config = ModelConfig("pointnet", {"channels": 6}, ("a",), 8, channels=names, up="-y")
    assert ModelConfig.from_json(config.to_json(), "here") == config


@pytest.mark.parametrize(
    ("options", "names"),
    [({}, ("x", "y", "z")), ({"channels": 5}, ("x", "y", "z", "channel3", "channel4"))],
)
def test_an_older_configuration_names_its_channels_by_their_number(
    options: dict[str, int], names: tuple[str, ...]
) -> None:
    text = json.loads(ModelConfig("pointnet", options, ("a",), 8, channels=names).to_json())
    del text["channels"], text["up"]
    config = ModelConfig.from_json(json.dumps(text), "here")
    assert (config.channels, config.up) == (names, None)


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"channels": ["y", "x", "z"]}, "not different names after x, y, z"),
        ({"channels": ["x", "y", "z", "z"]}, "not different names"),
        ({"channels": "xyz"}, "not different names"),
        ({"channels": ["x", "y", "z", "nx"]}, "takes 3 channels a point, but 4 are named"),
        ({"channels": 3}, "not different names"),
        ({"up": "w"}, "up is 'w'"),
        ({"options": {"channels": "many"}}, "options.channels is not a number"),
    ],
)
def test_channels_without_sense_are_refused(stated: dict[str, object], sentence: str) -> None:
    text = json.loads(ModelConfig("pointnet", {"channels": 3}, ("a",), 8).to_json())
    with pytest.raises(InputError, match=sentence):
        ModelConfig.from_json(json.dumps(text | stated), "here")
