"""What training in turned orientations costs on upright clouds, and gives on turned ones.

    python -m benchmarks.any_orientation --data FOLDER [--runs runs/any-orientation]

FOLDER holds ModelNet40's HDF5 files. Trains the recipe `modelnet40_any` with `augmentation.rotate`
any and none, side by side, each on one thread and resumable (about five minutes on two
quiet cores), and measures each, and the shipped students of ModelNet40, on the whole test split as
stored, turned about the vertical, and turned to any orientation. Writes
results/any_orientation.{json,md}.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from pointcmt.checkpoint import load_student
from pointcmt.data import ModelNet40
from pointcmt.data.augment import Augmentation
from pointcmt_export.machine import describe_machine
from pointcmt_serve.pretrained import located

RESULTS = Path(__file__).parent / "results"
ROTATIONS = ("none", "any")
SHIPPED = ("modelnet40", "modelnet40-turned")
TURNS = {
    "as stored": Augmentation(),
    "about the vertical": Augmentation(rotate=180, up="y"),
    "any orientation": Augmentation(tumble=True),
}
SEED = 0


def train(rotate: str, data: Path, runs: Path) -> Path:
    run = runs / rotate
    program = Path(sys.executable).with_name("pointcmt-train")
    words = ("modelnet40_any", f"data.root={data}", f"augmentation.rotate={rotate}", f"seed={SEED}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([program, *words, "-o", run], check=True, env=environment)
    return run / "student"


@torch.no_grad()
def accuracy(folder: Path, clouds: Tensor, labels: Tensor) -> float:
    student, _ = load_student(folder)
    found = torch.cat([student(part).argmax(dim=1) for part in torch.split(clouds, 64)])
    return (found == labels).double().mean().item()


def measured(data: Path, runs: Path) -> dict[str, dict[str, float]]:
    test = ModelNet40(data, "test", 1024)
    clouds, labels = torch.from_numpy(test.points), torch.from_numpy(test.labels)
    ids = torch.arange(len(clouds))
    with ThreadPoolExecutor(2) as pool:
        trained = pool.map(lambda rotate: train(rotate, data, runs), ROTATIONS)
        students = dict(zip(ROTATIONS, trained, strict=True))
    students |= {f"`{name}`, shipped": located(Path(name)) / "model" for name in SHIPPED}
    torch.set_num_threads(1)
    turned = {name: turn(clouds, ids, 0, SEED) for name, turn in TURNS.items()}
    return {
        student: {name: accuracy(folder, batch, labels) for name, batch in turned.items()}
        for student, folder in students.items()
    }


def page(rows: dict[str, dict[str, float]]) -> str:
    head = (
        "# Students of turned clouds\n\n`python -m benchmarks.any_orientation`: the recipe "
        "`modelnet40_any` (reduced PointNet++ SSG, ten epochs, no images, one seed) on ModelNet40 "
        "by `augmentation.rotate`, and the shipped students (forty epochs); last epoch, overall "
        f"accuracy on the whole test split. Machine: {describe_machine()['processor']}.\n\n"
    )
    table = f"| student | {' | '.join(TURNS)} |\n|---|{'---:|' * len(TURNS)}\n"
    lines = (
        f"| {student} | {' | '.join(f'{value:.1%}' for value in row.values())} |\n"
        for student, row in rows.items()
    )
    return head + table + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/any-orientation"))
    chosen = parser.parse_args()
    rows = measured(chosen.data, chosen.runs)
    result = {"machine": describe_machine(), "seed": SEED, "accuracy": rows}
    (RESULTS / "any_orientation.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "any_orientation.md").write_text(page(rows))
    print(page(rows))


if __name__ == "__main__":
    main()
