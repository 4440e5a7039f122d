"""A compared method is one file and one line in the table, as CONTRIBUTING says."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from pointcmt.errors import InputError
from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder
from pointcmt_training.keys import tables
from pointcmt_training.reading import read_history
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.student import train_student
from tests.training import made

FILE = '''
"""Features drawn towards the teacher's by their cosine."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.section import Weight


@dataclass(frozen=True)
class Cosine(Method):
    """One minus the cosine of both features.

    Attributes:
        pull: weight of the loss.
    """

    pull: Weight = 1.0

    def loss(self, images: Images) -> Loss:
        return CosineLoss(self.pull, images)


class CosineLoss(Loss):
    def __init__(self, pull: float, images: Images) -> None:
        super().__init__(images)
        self.pull = pull

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        cosine = F.cosine_similarity(batch.features, batch.image_features)
        return {"angle": self.pull * (1 - cosine).mean()}
'''


@pytest.fixture(autouse=True)
def _added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cosine.py").write_text(FILE)
    spec = importlib.util.spec_from_file_location("cosine", tmp_path / "cosine.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(METHODS, "cosine", module.Cosine)  # type: ignore[arg-type]


def test_a_recipe_takes_it_with_its_options_and_the_page_tells_them() -> None:
    config = load_config("shapes", ["method=cosine", "distillation.pull=0.5"])
    assert config.distillation == METHODS["cosine"](pull=0.5)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="pull: it is an option of method=cosine, not of"):
        load_config("shapes", ["method=hinton", "distillation.pull=0.5"])
    assert "| `distillation.pull` | `1.0` | number, at least 0 | weight of the loss. |" in tables()


def test_it_trains_and_its_loss_stands_in_the_history(tmp_path: Path) -> None:
    config = made.settings("method=cosine", "training.epochs=20", "distillation.pull=3")
    images = Images(nn.Identity(), None, torch.rand(12, made.FEATURES))
    folder = RunFolder(tmp_path / "run")
    train_student(config, made.inputs(config), folder, made.student(), images)  # type: ignore[arg-type]
    angles = [record["angle"] for record in read_history(folder.history("training"))]
    assert len(angles) == 20
    assert angles[-1] < angles[0]
