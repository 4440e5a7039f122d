"""How large should each enhancement be? Shares compared on a validation split, never on test.

    python -m benchmarks.shares --data FOLDER [--runs runs/shares] [--results benchmarks/results]

FOLDER holds ModelNet40's HDF5 files. A class-balanced 22 % of the training split is cut into 2 %
to train on and 20 % to validate on. A finished run is not repeated, and an interrupted one goes on.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean

from benchmarks.study_parts.plan import BUDGETS, SOFT, UNLABELLED
from pointcmt_training.folder import write_text

FRACTION, VALIDATION = 0.22, 0.909
BUDGET = BUDGETS[0.02]
SUBSET = 100  # a seed that the study does not use
SEEDS = (0, 1)
TEACHING = "teaching"

Shares = tuple[float, float, float]
LABELLED: tuple[Shares, ...] = (  # feature, classifier, supervise
    (0.1, 0.5, 1.0),
    (0.1, 0.1, 1.0),
    (0.1, 0.5, 0.0),
    (0.5, 0.5, 1.0),
    (0.1, 0.0, 0.0),
    (0.5, 0.0, 0.0),
    (0.0, 0.5, 1.0),
)
WITH_LOGITS: tuple[Shares, ...] = ((0.05, 0.1, 1.0), (0.1, 0.0, 0.0))

PROTOCOL = """# The size of each enhancement

`python -m benchmarks.shares`: class-balanced 2 % of ModelNet40's training split to train on and
20 % of it to validate on; otherwise the study's protocol at 2 %. "Share" is the gradient of an
enhancement at the encoder beside the cross-entropy's, warmed up over a fifth of the epochs;
"supervise" the weight of the image branch's own cross-entropy. Validation accuracy of the last
epoch, by seed. Machine: AMD EPYC, one thread.

"""


def enhanced(shares: Shares) -> tuple[str, ...]:
    """Return the options of shares of feature and classifier enhancement and of supervision."""
    values = zip(("feature", "classifier", "supervise"), shares, strict=True)
    return (
        "distillation.balance=share",
        "distillation.warmup=0.2",
        *(f"distillation.{key}={value}" for key, value in values),
    )


CANDIDATES: dict[str, tuple[str, ...]] = {
    "control": ("method=none",),
    **{"FE {:g}, CE {:g}, supervise {:g}".format(*s): enhanced(s) for s in LABELLED},
    "unlabelled: teacher's logits": (*SOFT, *UNLABELLED),
    **{
        "unlabelled: teacher's logits, FE {:g}, CE {:g}, supervise {:g}".format(*s): (
            *enhanced(s),
            "distillation.logits=1.0",
            *UNLABELLED,
        )
        for s in WITH_LOGITS
    },
}


def train(folder: Path, data: Path, words: tuple[str, ...], seed: int) -> float:
    """Train one run unless it is finished, and return its accuracy on the validation split."""
    history = folder / "history" / "training.jsonl"
    if not (folder / "result.json").is_file():
        program = Path(sys.executable).with_name("pointcmt-train")
        with folder.with_suffix(".log").open("a") as log:
            subprocess.run(
                [
                    *(program, "modelnet40_2pct", f"data.root={data}", f"seed={seed}"),
                    *(f"data.fraction={FRACTION}", f"data.validation={VALIDATION}"),
                    *(f"data.subset_seed={SUBSET}", "training.selection=validation"),
                    *(*words, "-o", str(folder)),
                ],
                check=True,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
    last = json.loads(history.read_text().splitlines()[-1])
    return float(last["validation_accuracy"])


def write(results: Path, found: dict[str, list[float]]) -> None:
    """Write the accuracies as JSON and as a table."""
    lines = [
        "| losses beside the cross-entropy | validation accuracy % by seed | mean |",
        "|---|---|---|",
    ]
    for name, values in found.items():
        each = ", ".join(f"{100 * value:.1f}" for value in values)
        lines.append(f"| {name} | {each} | {100 * mean(values):.1f} |")
    write_text(results / "shares.json", json.dumps(found, indent=1) + "\n")
    write_text(results / "shares.md", PROTOCOL + "\n".join(lines) + "\n")


def main() -> None:
    """Train every candidate with every seed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/shares"))
    parser.add_argument("--results", type=Path, help="where the tables go; by default RUNS")
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    steps_an_epoch = round(0.02 * 9840) // BUDGET.batch_size
    epochs, teaching = BUDGET.steps // steps_an_epoch, BUDGET.teacher_steps // steps_an_epoch
    stages = (f"teacher.epochs={teaching}", f"generator.epochs={teaching}")
    train(args.runs / TEACHING, args.data, (*stages, "training.epochs=1"), 0)
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        for index, (name, words) in enumerate(CANDIDATES.items()):
            shared = () if name == "control" else (f"stages_from={args.runs / TEACHING}", *stages)
            words = (*words, *shared, f"training.epochs={epochs}")
            accuracy = train(args.runs / f"{index}-{seed}", args.data, words, seed)
            found.setdefault(name, []).append(accuracy)
            print(f"{name}, seed {seed}: {accuracy:.1%}", flush=True)
            write(args.results or args.runs, found)


if __name__ == "__main__":
    main()
