"""Each stage against its loop written out: the same weights, whatever a stage is made of."""

import copy
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from pointcmt.data.augment import Augmentation
from pointcmt.teacher.generator import PointGenerator
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.views import project_color, project_depth
from pointcmt_training.config import Config, Schedule
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs.split import Split
from pointcmt_training.stages.generator import train_generator
from pointcmt_training.stages.student import train_student
from pointcmt_training.stages.teacher import train_teacher
from tests.training import made

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": lambda parameters, **options: torch.optim.SGD(parameters, momentum=0.9, **options),
}


def batches(seed: int, section: str, epoch: int, samples: int, size: int) -> Iterator[Tensor]:
    torch.manual_seed(zlib.crc32(f"{seed}/{section}/{epoch}".encode()))
    order = torch.randperm(samples)
    for start in range(0, samples - size + 1, size):
        yield order[start : start + size]


def train(
    module: nn.Module,
    config: Config,
    section: str,
    samples: int,
    loss: Callable[[Tensor, int], Tensor],
) -> None:
    """Adam, AdamW or SGD along a cosine to zero; the last, smaller batch is dropped."""
    schedule: Schedule = getattr(config, section)
    optimizer = OPTIMIZERS[schedule.optimizer](
        module.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay
    )
    module.train()
    for epoch in range(schedule.epochs):
        optimizer.param_groups[0]["lr"] = (
            schedule.lr * (1 + math.cos(math.pi * epoch / schedule.epochs)) / 2
        )
        for indices in batches(config.seed, section, epoch, samples, schedule.batch_size):
            optimizer.zero_grad()
            loss(indices, epoch).backward()
            optimizer.step()


def cross_entropy(logits: Tensor, split: Split, indices: Tensor, smoothing: float) -> Tensor:
    """With `data.class_balance=weights`, of classes whose clouds are not as many."""
    labels = split.labels[indices]
    weights = 1 / torch.bincount(split.labels)
    logs = weights * (logits - logits.exp().sum(dim=1, keepdim=True).log())
    right = logs[torch.arange(len(labels)), labels]
    each = (1 - smoothing) * right + smoothing * logs.mean(dim=1)
    return -each.sum() / weights[labels].sum()


def augmented(split: Split, indices: Tensor, epoch: int, seed: int, shuffle: bool) -> Tensor:
    paper = Augmentation(scale=(2 / 3, 3 / 2), shift=0.2, shuffle=shuffle)
    return paper(split.points[indices], indices, epoch, seed)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_student_with_hintons_method(optimizer: str, tmp_path: Path) -> None:
    config = made.settings(
        "method=hinton",
        "data.class_balance=weights",
        "distillation.weight=0.5",
        "training.label_smoothing=0.3",
        "training.lr=0.02",
        "training.weight_decay=0.1",
        f"training.optimizer={optimizer}",
    )
    inputs, student = made.inputs(config, train=13), made.student()
    split, twin = inputs.train, copy.deepcopy(student)
    teacher = nn.Linear(made.FEATURES, len(made.CLASSES)).requires_grad_(False)
    images = Images(teacher, nn.Identity(), torch.randn(len(split), made.FEATURES))

    def loss(indices: Tensor, epoch: int) -> Tensor:
        logits = twin(augmented(split, indices, epoch, config.seed, shuffle=True))
        entropy = cross_entropy(logits, split, indices, 0.3)
        soft = (teacher(images.features[indices]) / 4).softmax(dim=1)
        divergence = (soft * (soft.log() - (logits / 4).log_softmax(dim=1))).sum(dim=1).mean()
        return entropy + 0.5 * 16 * divergence

    train_student(config, inputs, RunFolder(tmp_path), student, images)  # type: ignore[arg-type]
    train(twin, config, "training", len(split), loss)
    made.assert_same_weights(student, twin, 1e-5)


VIEWS: dict[str, Callable[[Split, Tensor, Tensor], Tensor]] = {
    "projected": lambda split, clouds, indices: project_depth(clouds, 16),
    "projected-color": lambda split, clouds, indices: project_color(
        clouds, torch.from_numpy(split.dataset.points)[indices, :, 3:], 16
    ),
    "rendered": lambda split, clouds, indices: (
        torch.stack([torch.from_numpy(split.dataset.views[int(i)]) for i in indices])  # type: ignore[index]
        .movedim(-1, 2)
        .div(255)
    ),
}


@pytest.mark.parametrize(
    ("kind", "augment"),
    [("projected", True), ("projected", False), ("projected-color", True), ("rendered", False)],
)
def test_the_teacher_on_every_kind_of_view(kind: str, augment: bool, tmp_path: Path) -> None:
    config = made.settings(
        f"views.kind={kind}",
        f"views.augment={augment or kind == 'rendered'}",  # pictures never are
        "teacher.optimizer=sgd",
        "teacher.lr=0.01",
        "teacher.label_smoothing=0.1",
        "teacher.aggregate=mean",
    )
    inputs = made.inputs(config)
    split = inputs.train
    torch.manual_seed(config.seed)
    twin = MultiViewTeacher(
        "resnet18", 3, 1 if kind == "projected" else 3, 0.25, "imagenet", "mean", made.FEATURES
    )

    def loss(indices: Tensor, epoch: int) -> Tensor:
        clouds = split.points[indices]
        if augment:
            clouds = augmented(split, indices, epoch, config.seed, shuffle=False)
        logits = twin(VIEWS[kind](split, clouds, indices))
        return cross_entropy(logits, split, indices, 0.1)

    teacher = train_teacher(config, inputs, RunFolder(tmp_path), made.FEATURES)
    train(twin, config, "teacher", len(split), loss)
    made.assert_same_weights(teacher, twin, 1e-4)


def test_a_teacher_of_two_networks(tmp_path: Path) -> None:
    plain = ("teacher.optimizer=sgd", "teacher.lr=0.01", "teacher.label_smoothing=0")
    weighted = "data.class_balance=weights"
    config = made.settings("teacher.networks=2", "views.augment=false", weighted, *plain)
    inputs = made.inputs(config, train=13)
    split = inputs.train
    torch.manual_seed(config.seed)
    twin = MultiViewTeacher("resnet18", 3, 1, 0.25, feature_dim=made.FEATURES, networks=2)

    def loss(indices: Tensor, epoch: int) -> Tensor:
        images = (VIEWS["projected"](split, split.points[indices], indices) - twin.mean) / twin.std
        losses = []
        for network in (nn.Sequential(twin.encoder, twin.projection), *twin.others):
            features = network(images.flatten(0, 1)).unflatten(0, images.shape[:2]).amax(dim=1)
            losses.append(cross_entropy(twin.classifier(features), split, indices, 0.0))
        return torch.stack(losses).mean()

    teacher = train_teacher(config, inputs, RunFolder(tmp_path), made.FEATURES)
    train(twin, config, "teacher", len(split), loss)
    made.assert_same_weights(teacher, twin, 1e-4)


@pytest.mark.parametrize("unlabelled", [0, 4])
def test_the_generator(tmp_path: Path, unlabelled: int) -> None:
    words = ("generator.optimizer=adamw", "generator.weight_decay=0.2", "data.unlabelled_batch=3")
    config = made.settings(*words)
    inputs = made.inputs(config, unlabelled=unlabelled)
    features = torch.randn(len(inputs.pool), made.FEATURES)
    torch.manual_seed(config.seed)
    twin = PointGenerator(made.FEATURES, 10, 3)

    def loss(indices: Tensor, epoch: int) -> Tensor:
        drawn = inputs.drawn(indices)
        decoded, clouds = twin(features[drawn]), inputs.pool.points[drawn, :10]
        matched = []
        for one, other in zip(decoded, clouds, strict=True):
            match = linear_sum_assignment(cdist(one.detach(), other))[1]
            matched.append((one - other[match]).norm(dim=1).mean())
        return torch.stack(matched).mean()

    generator = train_generator(config, inputs, RunFolder(tmp_path), features)
    train(twin, config, "generator", len(inputs.train), loss)
    made.assert_same_weights(generator, twin, 1e-5)
