"""One step of stage III, and the share of it that the earth mover's distance takes."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.ops_parts.problems import chair
from pointcmt import losses
from pointcmt.models import create_student
from pointcmt.ops import earth_movers_distance
from pointcmt.teacher.generator import PointGenerator
from pointcmt_training.allocator import tune_allocator
from pointcmt_training.distillation.method import Batch, Images
from pointcmt_training.distillation.pointcmt import PointCMT

BATCH, POINTS, CLASSES, FEATURES = 32, 1024, 40, 512
GENERATOR_STEPS = 150


def trained_generator(clouds: Tensor, features: Tensor) -> PointGenerator:
    """A generator that has learnt to decode the clouds roughly, as stage II leaves it."""
    generator = PointGenerator(FEATURES, POINTS)
    optimizer = torch.optim.Adam(generator.parameters(), 1e-3)
    for _ in range(GENERATOR_STEPS):
        optimizer.zero_grad()
        earth_movers_distance(generator(features), clouds, "mean").mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return generator.eval().requires_grad_(False)


def seconds(run: Callable[[], object], runs: int) -> float:
    """The median time of a call after the first."""
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(torch.tensor(times).median())


def measure(runs: int) -> dict[str, float]:
    """Seconds of a PointNet++ SSG step (forward, both enhancements, backward, AdamW) and EMD's."""
    tune_allocator()
    torch.manual_seed(0)
    clouds = chair(BATCH, POINTS, torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.arange(BATCH) % CLASSES
    teacher = F.relu(torch.randn(BATCH, FEATURES))
    generator = trained_generator(clouds, teacher)
    student = create_student("pointnet2-ssg", CLASSES)
    images = Images(torch.nn.Linear(FEATURES, CLASSES), generator, teacher)
    method = PointCMT().loss(images)
    optimizer = torch.optim.AdamW(student.parameters())

    def step() -> None:
        optimizer.zero_grad()
        features = student.encode(clouds)
        logits = student.classify(features)
        entropy = F.cross_entropy(logits, labels)
        parts = method(Batch(features, logits, teacher, labels, student.classify, entropy))
        (entropy + sum(parts.values())).backward()
        optimizer.step()

    def decoded() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            own = losses.unit_box(generator(student.encode(clouds)))
            return own, losses.unit_box(generator(teacher))

    first = decoded()
    report = {"EMD of the first step": matching_seconds(first, runs), "step": seconds(step, runs)}
    report["EMD after these steps"] = matching_seconds(decoded(), runs)
    distance = max(report["EMD of the first step"], report["EMD after these steps"])
    return report | {"share": distance / report["step"]}


def matching_seconds(clouds: tuple[Tensor, Tensor], runs: int) -> float:
    """Seconds of the distance between two batches, forward and backward."""
    x, y = clouds[0].clone().requires_grad_(), clouds[1]
    return seconds(lambda: earth_movers_distance(x, y, "mean").mean().backward(), runs)  # type: ignore[no-untyped-call]
