"""The smallest whole run on the embedded shapes."""

from pathlib import Path

import torch
from safetensors.torch import load_file

TINY = [
    "data.points=64",
    "data.per_class=2",
    "options={width: 0.25, centres: [16, 8], neighbours: [[4], [4]], feature_dim: 64}",
    "views.size=16",
    "teacher.batch_size=12",
    "teacher.epochs=2",
    "teacher.optimizer=sgd",
    "generator.points=16",
    "generator.batch_size=12",
    "generator.epochs=2",
    "training.batch_size=12",
    "training.epochs=2",
    "checkpoint_seconds=0",
    "device=cpu",
]
Optimised = list[tuple[type, float, float]]  # kind, rate and decay of the optimiser in each step


def assert_same_weights(one: Path, other: Path) -> None:
    for part in ("teacher", "generator", "student"):
        first, second = (load_file(root / part / "model.safetensors") for root in (one, other))
        assert first.keys() == second.keys()
        assert not [key for key in first if not torch.equal(first[key], second[key])]
