"""Cloud, image feature and label of one object meet in every step, shuffled and resumed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from pointcmt_training.config import Config
from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.method import Batch, Images, Loss, Method
from pointcmt_training.folder import RunFolder
from pointcmt_training.stages.student import train_student
from tests.training import made

Step = tuple[list[int], list[int], list[int]]  # objects by their cloud, by their image, labels


class Recorder(made.PooledStudent):
    """A student that notes the clouds it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.clouds: list[Tensor] = []

    def encode(self, points: Tensor) -> Tensor:
        if self.training:
            self.clouds.append(points.clone())
        return super().encode(points)


@dataclass(frozen=True)
class Recording(Method):
    """A method that notes what it is given and weighs nothing."""

    batches: ClassVar[list[Batch]] = []
    weight: float = field(default=0.0)

    def loss(self, images: Images) -> Loss:
        return RecordingLoss(images)


class RecordingLoss(Loss):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        Recording.batches.append(batch)
        return {"nothing": 0 * batch.logits.sum()}


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    monkeypatch.setitem(METHODS, "recording", Recording)  # type: ignore[arg-type]
    Recording.batches.clear()
    yield made.settings("method=recording", "training.batch_size=4")
    Recording.batches.clear()


def record(config: Config, folder: Path, student: Recorder, unlabelled: int = 0) -> None:
    inputs = made.inputs(config, unlabelled=unlabelled)
    numbered = torch.arange(len(inputs.pool)).float()
    images = Images(torch.nn.Identity(), torch.nn.Identity(), numbered[:, None].repeat(1, 8))
    train_student(config, inputs, RunFolder(folder), student, images)  # type: ignore[arg-type]


def steps(student: Recorder) -> list[Step]:
    return [
        (
            made.identity(clouds).tolist(),
            batch.image_features[:, 0].int().tolist(),
            batch.labels.tolist(),
        )
        for clouds, batch in zip(student.clouds, Recording.batches, strict=True)
    ]


def test_every_step_of_every_epoch_holds_one_objects_cloud_image_and_label(
    config: Config, tmp_path: Path
) -> None:
    student = Recorder()
    record(config, tmp_path, student)
    labels = made.inputs(config).train.labels
    recorded = steps(student)
    assert len(recorded) == 3 * 3
    for clouds, pictures, classes in recorded:
        assert clouds == pictures
        assert classes == labels[torch.tensor(clouds)].tolist()
    epochs = [[i for step in recorded[at : at + 3] for i in step[0]] for at in (0, 3, 6)]
    assert [sorted(epoch) for epoch in epochs] == 3 * [list(range(12))]
    assert len({tuple(epoch) for epoch in [*epochs, range(12)]}) == 4, "each in its own order"


@pytest.mark.usefixtures("config")
def test_unlabelled_clouds_come_behind_with_their_own_images_and_no_label(tmp_path: Path) -> None:
    config = made.settings(
        "method=recording", "training.batch_size=4", "data.unlabelled_batch=5", "training.epochs=4"
    )
    student = Recorder()
    record(config, tmp_path, student, unlabelled=6)
    labels = made.inputs(config, unlabelled=6).train.labels
    joined = []
    for clouds, pictures, classes in steps(student):
        assert clouds == pictures
        assert len(clouds) == 4 + 5
        assert classes == labels[torch.tensor(clouds[:4])].tolist()
        joined += clouds[4:]
    assert set(joined) == set(range(12, 18))


def test_a_resumed_run_goes_on_where_it_was_with_the_same_objects(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Recorder()
    record(config, tmp_path / "whole", whole)
    expected = steps(whole)
    Recording.batches.clear()
    killed, resumed = Recorder(), Recorder()
    with monkeypatch.context() as patch:
        made.interrupt_at(2, patch)
        with pytest.raises(made.Interrupted):
            record(config, tmp_path / "killed", killed)
    assert steps(killed) == expected[:6]
    Recording.batches.clear()
    record(config, tmp_path / "killed", resumed)
    assert steps(resumed) == expected[3:]
    for one, other in zip(whole.clouds[3:], resumed.clouds, strict=True):
        assert torch.equal(one, other)


def test_what_a_method_gets_is_the_students_own(config: Config, tmp_path: Path) -> None:
    student = Recorder()
    record(config, tmp_path, student)
    probe = torch.randn(5, 8)
    for step, batch in enumerate(Recording.batches):
        assert batch.progress == pytest.approx((step // 3 + 1) / 3)
        assert batch.label_smoothing == config.training.label_smoothing
        entropy = torch.nn.functional.cross_entropy(
            batch.logits, batch.labels, label_smoothing=config.training.label_smoothing
        )
        torch.testing.assert_close(batch.cross_entropy, entropy)
        assert torch.equal(batch.classifier(probe), student.classify(probe))
        assert batch.features.requires_grad
        assert not batch.image_features.requires_grad


def test_clouds_are_scaled_shifted_and_shuffled_in_the_papers_range(
    config: Config, tmp_path: Path
) -> None:
    student = Recorder()
    record(
        made.settings("method=recording", "training.batch_size=4", "training.epochs=12"),
        tmp_path,
        student,
    )
    plain = made.inputs(config).train.points
    seen = torch.cat(student.clouds)
    clouds = plain[made.identity(seen)]
    scale = (seen.amax(1) - seen.amin(1)) / (clouds.amax(1) - clouds.amin(1))  # (n, 3)
    shift = seen.amin(1) - clouds.amin(1) * scale
    assert 2 / 3 - 1e-4 < scale.min() < 0.7
    assert 1.45 < scale.max() < 3 / 2 + 1e-4
    assert -0.2 - 1e-4 < shift.min() < -0.19
    assert 0.19 < shift.max() < 0.2 + 1e-4
    assert (scale.std(dim=1) > 0.01).float().mean() > 0.9, "each axis has its own scale"
    ordered = clouds * scale[:, None] + shift[:, None]
    same_place = torch.isclose(seen, ordered, atol=1e-4).all(2).float().mean()
    assert same_place < 0.3, "the points are shuffled"
    torch.testing.assert_close(seen.mean(1), ordered.mean(1), atol=1e-4, rtol=1e-4)


def test_the_same_object_looks_different_in_every_epoch(config: Config, tmp_path: Path) -> None:
    student = Recorder()
    record(config, tmp_path, student)
    seen = torch.cat(student.clouds)
    first = seen[made.identity(seen) == 0]
    assert len(first) == 3
    assert len(torch.unique(first.amax(1)[:, 0])) == 3
