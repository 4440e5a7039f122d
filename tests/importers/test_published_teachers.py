"""Image networks: torchvision's computation on random weights equals the imported teacher."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pointcmt.importers.sources import import_checkpoint
from pointcmt.teacher.pretrained import load_teacher
from tests.reference.published import State, linear
from tests.reference.published_resnet import resnet_features, resnet_logits, resnet_state

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(3, 1, 1)


def images(views: int) -> Tensor:
    random = torch.Generator().manual_seed(2)
    return torch.rand(2, views, 3, 48, 40, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_torchvision_resnet_gives_its_logits_on_normalised_images(
    name: str, tmp_path: Path
) -> None:
    state = resnet_state(name, classes=12, width=16)
    torch.save(state, tmp_path / f"{name}.pth")
    folder = import_checkpoint(tmp_path / f"{name}.pth", "torchvision-resnet", tmp_path / "teacher")
    teacher, config = load_teacher(folder)
    assert config.backbone == name
    batch = images(views=1)
    with torch.no_grad():
        logits = teacher.double()(batch)
    mean, std = teacher.mean, teacher.std  # float32 constants
    expected = resnet_logits(state, (batch[:, 0] - mean) / std, name)
    torch.testing.assert_close(logits, expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close((mean, std), (MEAN, STD), rtol=1e-6, atol=0.0)


def test_released_teacher_takes_the_maximum_over_views(tmp_path: Path) -> None:
    state = resnet_state("resnet18", classes=40, width=16)
    children = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    saved = {"cfg": {}, "model_state": {_released_name(k, children): t for k, t in state.items()}}
    torch.save(saved, tmp_path / "mvcnn.pth")
    folder = import_checkpoint(tmp_path / "mvcnn.pth", "pointcmt-released", tmp_path / "teacher")
    teacher, config = load_teacher(folder)
    assert config.classes[0] == "airplane"
    batch = images(views=3)
    with torch.no_grad():
        logits = teacher.double()(batch)
    expected = _released_logits(state, (batch - teacher.mean) / teacher.std)
    torch.testing.assert_close(logits, expected, rtol=1e-8, atol=1e-8)


def _released_name(key: str, children: dict[str, int]) -> str:
    child, _, rest = key.partition(".")
    return f"module.fc.0.{rest}" if child == "fc" else f"module.net.{children[child]}.{rest}"


def _released_logits(state: State, views: Tensor) -> Tensor:
    features = [resnet_features(state, views[:, v], "resnet18") for v in range(views.shape[1])]
    return linear(state, "fc", torch.stack(features).amax(0))
