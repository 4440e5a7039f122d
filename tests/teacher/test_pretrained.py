from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pointcmt.errors import InputError
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.teacher.pretrained import TeacherConfig, load_teacher, save_teacher, start_from
from tests.reference.published import State
from tests.reference.published_resnet import resnet_features, resnet_state

WEIGHTS = resnet_state("resnet18", classes=10)


def teacher(**options: Any) -> MultiViewTeacher:
    return MultiViewTeacher(**{"num_classes": 7, **options}).eval()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(WEIGHTS, tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def features(state: State, views: torch.Tensor, made: MultiViewTeacher) -> torch.Tensor:
    return resnet_features(state, (views[:, 0] - made.mean) / made.std, "resnet18")


@pytest.mark.parametrize("networks", [1, 2])
def test_a_teacher_starts_from_a_users_own_file(weights: Path, networks: int) -> None:
    made = teacher(networks=networks)
    start_from(made, weights)
    views = torch.rand(2, 1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        actual = made.double().encode(views)
    torch.testing.assert_close(actual, features(WEIGHTS, views, made), rtol=1e-8, atol=1e-8)


def test_files_older_than_batch_counters_are_read(tmp_path: Path) -> None:
    old = {k: t for k, t in WEIGHTS.items() if not k.endswith("num_batches_tracked")}
    save_file(old, tmp_path / "old.safetensors")
    made = teacher()
    start_from(made, tmp_path / "old.safetensors")
    torch.testing.assert_close(made.encoder.state_dict()["conv1.weight"], WEIGHTS["conv1.weight"])


def test_a_depth_image_is_seen_as_a_grey_one(weights: Path) -> None:
    depth, colour = teacher(in_channels=1), teacher()
    start_from(depth, weights)
    start_from(colour, weights)
    image = torch.rand(2, 1, 1, 32, 32)
    with torch.no_grad():  # the statistics of grey differ a little from those of each colour
        first = depth.encoder.conv1((image[:, 0] - depth.mean) / depth.std)
        grey = (image[:, 0] - depth.mean) / depth.std
        second = colour.encoder.conv1(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_projection_and_classifier_keep_their_weights(weights: Path) -> None:
    made = teacher(feature_dim=64)
    before = {k: t.clone() for k, t in made.state_dict().items() if not k.startswith("encoder")}
    start_from(made, weights)
    after = made.state_dict()
    assert before
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


@pytest.mark.parametrize(
    "options",
    [{"backbone": "resnet34"}, {"width": 0.25}, {"stem": "small"}, {"in_channels": 4}],
    ids=str,
)
def test_weights_of_another_network_are_refused(weights: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"not the weights of a resnet.*conv1"):
        start_from(teacher(**options), weights)


def test_a_damaged_file_is_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(InputError, match="truncated, damaged"):
        start_from(teacher(), weights)


def test_a_teacher_folder_round_trips_and_starts_another(tmp_path: Path) -> None:
    options = {"in_channels": 1, "width": 0.125, "aggregate": "mean"}
    first = teacher(**options, num_classes=3)
    config = TeacherConfig("resnet18", options, ("a", "b", "c"), {"data": "shapes"})
    folder = save_teacher(tmp_path / "teacher", first, config)
    second, read = load_teacher(folder)
    assert read == config
    views = torch.rand(2, 4, 1, 32, 32)
    torch.testing.assert_close(second(views), first(views), rtol=0.0, atol=0.0)
    third = teacher(in_channels=1, width=0.125, num_classes=9)
    start_from(third, folder)
    weight = third.encoder.state_dict()["layer4.1.conv2.weight"]
    torch.testing.assert_close(weight, first.encoder.state_dict()["layer4.1.conv2.weight"])


@pytest.mark.parametrize("source", ["teacher", "teacher/model.safetensors"])
def test_a_teacher_starts_from_that_of_a_run(source: str, tmp_path: Path) -> None:
    first = teacher(width=0.125, feature_dim=64, networks=2)
    (tmp_path / "teacher").mkdir()
    save_file(first.state_dict(), tmp_path / "teacher" / "model.safetensors")
    second = teacher(width=0.125, num_classes=9)
    start_from(second, tmp_path / source)
    for key, tensor in second.encoder.state_dict().items():
        assert torch.equal(tensor, first.encoder.state_dict()[key])


@pytest.mark.parametrize("damage", ["no config", "half config", "no weights", "half weights"])
def test_a_damaged_teacher_folder_is_refused(tmp_path: Path, damage: str) -> None:
    options = {"in_channels": 1, "width": 0.125}
    config = TeacherConfig("resnet18", options, ("a", "b"))
    folder = save_teacher(tmp_path / "teacher", teacher(**options, num_classes=2), config)
    file = folder / ("config.json" if "config" in damage else "model.safetensors")
    if damage.startswith("no"):
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="teacher"):
        load_teacher(folder)
