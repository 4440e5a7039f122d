"""The shipped student of ModelNet40 beside its PointCMT twin: one recipe, one seed.

    python -m benchmarks.twin --data FOLDER [--runs runs/twin]

FOLDER holds ModelNet40's HDF5 files. The control is the shipped `modelnet40`, which the recipe
`modelnet40_small` made without images; its twin is trained by the same recipe with the image
teacher, feature and classifier enhancement of the study (`benchmarks.study`), on one thread, which
takes hours; the same command goes on. Writes results/twin.{json,md}.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.study_parts.plan import BALANCED
from pointcmt_export.machine import describe_machine
from pointcmt_serve.pretrained import located

RESULTS = Path(__file__).parent / "results"
STAGE = "epochs: 7, batch_size: 32, optimizer: adam, lr: 0.001"
OPTIONS = (
    "method=pointcmt",
    "views.size=64",
    f"teacher={{backbone: resnet18, width: 0.25, {STAGE}}}",
    f"generator={{layers: 3, points: 256, {STAGE}}}",
    *BALANCED,
)


def train(data: Path, run: Path) -> dict[str, Any]:
    """Train the twin unless it is finished; return its result."""
    program = Path(sys.executable).with_name("pointcmt-train")
    words = ("modelnet40_small", f"data.root={data}", *OPTIONS, "-o", run)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([program, *words], check=True, env=environment)
    result: dict[str, Any] = json.loads((run / "result.json").read_text())
    return result


def control() -> dict[str, float]:
    """Return what the shipped model folder says it reached, last epoch, whole test split."""
    shipped = json.loads((located(Path("modelnet40")) / "model/config.json").read_text())
    told = shipped["provenance"]
    return {"overall": told["overall accuracy"], "mean_class": told["mean class accuracy"]}


def page(rows: dict[str, dict[str, float]]) -> str:
    """Return the table as Markdown."""
    head = (
        "# The shipped student and its PointCMT twin\n\n`python -m benchmarks.twin`: the recipe "
        "`modelnet40_small` (reduced PointNet++ SSG, forty epochs, 1,024 points) on the whole of "
        "ModelNet40, without images and with them: a teacher of six 64x64 projections of the same "
        "points, seven epochs, and the study's balanced shares. Last epoch, the whole test split, "
        f"seed 0. Machine: {describe_machine()['processor']}, one thread.\n\n"
    )
    table = "| | OA | mean class |\n|---|---:|---:|\n"
    lines = (
        f"| {name} | {row['overall']:.2%} | {row['mean_class']:.2%} |\n"
        for name, row in rows.items()
    )
    return head + table + "".join(lines)


def main() -> None:
    """Train the twin and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/twin"))
    chosen = parser.parse_args()
    result = train(chosen.data, chosen.runs)
    rows = {
        "control, shipped": control(),
        "PointCMT": result["student"],
        "its teacher": result["teacher"],
    }
    (RESULTS / "twin.json").write_text(json.dumps({"seed": 0, "accuracy": rows}, indent=2) + "\n")
    (RESULTS / "twin.md").write_text(page(rows))
    print(page(rows))


if __name__ == "__main__":
    main()
