"""What weights and a balanced sampler give where classes differ much in size.

    python -m benchmarks.class_balance [--seeds 3] [--output benchmarks/results]

The embedded shapes with 24 training clouds of every other class and 3 of the rest, 20 test clouds
of each, as a folder of one's own; PointNet by one recipe without images, `data.class_balance` none,
weights or sampler. Reported is the mean over seeds of the last epoch: accuracy over all test clouds
(classes alike there) and over those of the rare classes. Writes class_balance.json and .md.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pointcmt.data import SHAPES_CLASSES, Shapes
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

RULES = ("none", "weights", "sampler")
COMMON, RARE, TEST, POINTS, EPOCHS = 24, 3, 20, 128, 25


def write(root: Path) -> None:
    """Write the clouds as `<class>/<split>/<number>.npy`; every other class is rare."""
    for split, each in (("train", COMMON), ("test", TEST)):
        data = Shapes(split, each, POINTS)
        for index, (points, label) in enumerate(zip(data.points, data.labels, strict=True)):
            if split == "train" and label % 2 and index // len(SHAPES_CLASSES) >= RARE:
                continue
            folder = root / SHAPES_CLASSES[label] / split
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{index:04d}.npy", points)


def measure(root: Path, rule: str, seed: int, out: Path) -> tuple[float, float]:
    """Accuracy on all and on the rare classes, in percent."""
    overrides = (
        f"data.root={root}/clouds",
        f"data.cache={root}/cache",
        "data.name=folder",
        f"data.points={POINTS}",
        "data.up=y",
        f"data.class_balance={rule}",
        "student=pointnet",
        "options={}",
        "method=none",
        "generator.points=64",
        f"training.epochs={EPOCHS}",
        "training.batch_size=16",
        "training.evaluations=0",
        f"seed={seed}",
    )
    confusion = np.array(run(load_config("shapes", overrides), out)["confusion"])
    right = np.diag(confusion) / confusion.sum(axis=1)
    return 100 * float(right.mean()), 100 * float(right[1::2].mean())


def table(report: dict[str, Any]) -> str:
    lines = ["| class_balance | all classes | rare classes |", "|---|---:|---:|"]
    for rule, figures in report["accuracy"].items():
        shown = [f"{np.mean(one):.1f} ± {np.std(one):.1f}" for one in figures.values()]
        lines.append(f"| {rule} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    accuracy: dict[str, dict[str, list[float]]] = {r: {"all": [], "rare": []} for r in RULES}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "clouds"))
        for seed in range(arguments.seeds):
            for rule in RULES:
                out = Path(folder, f"{rule}-{seed}")
                whole, rare = measure(Path(folder), rule, seed, out)
                accuracy[rule]["all"].append(round(whole, 2))
                accuracy[rule]["rare"].append(round(rare, 2))
    report = {
        "protocol": f"embedded shapes, {COMMON} training clouds of 6 classes and {RARE} of the "
        f"other 6, {TEST} test clouds of each; PointNet, {EPOCHS} epochs, no images; "
        f"{arguments.seeds} seeds; "
        "accuracy in percent, mean and standard deviation over seeds",
        "accuracy": accuracy,
    }
    (arguments.output / "class_balance.json").write_text(json.dumps(report, indent=2) + "\n")
    text = f"# Classes of different sizes\n\n{report['protocol']}.\n\n{table(report)}\n"
    (arguments.output / "class_balance.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
