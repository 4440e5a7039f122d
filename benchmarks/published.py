"""Why the published weights cost accuracy: the same weights with one thing changed at a time.

    python -m benchmarks.published --data FOLDER [--runs runs/study] [--results benchmarks/results]

FOLDER holds ModelNet40's HDF5 files. Control, published weights and their teacher are those of
`python -m benchmarks.study` at 10 %, from its tables; its teacher must lie in RUNS, where it is
trained anew if it does not. Neither the paper nor the released code makes any of these changes. A
finished run is not repeated, and an interrupted one goes on.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import mean

from benchmarks.study import earlier, overall, train
from benchmarks.study_parts.plan import BUDGETS, CHANGED, TEACHING, Run
from benchmarks.study_parts.tables import gain
from pointcmt.data import ModelNet40, class_balanced_subset
from pointcmt_training.folder import write_text

FRACTION = 0.1
PUBLISHED = "FE + CE, published"

PROTOCOL = """# What the published weights lack

`python -m benchmarks.published`: the study's protocol at 10 % of ModelNet40's labels, feature
enhancement at 30 and classifier enhancement at 0.3, the KL summed over batches of 16, as released;
below them the same with one change. "Taught": the student's classifier also learns the labels from
the image features that it is asked to agree with (`distillation.supervise=1.0`). Overall accuracy
of the last epoch on the test split, differences paired by seed, Student's t at 95 %. Explains the
study, chooses nothing. Machine: AMD EPYC, one thread a run.

"""


def write(results: Path, known: dict[Run, float], found: dict[str, dict[int, float]]) -> None:
    """Write what is finished as JSON and as a table."""
    seeds = BUDGETS[FRACTION].seeds
    stand = {
        arm: {seed: known[Run(FRACTION, 0, seed, arm)] for seed in seeds}
        for arm in ("control", PUBLISHED)
    }
    lines = ["| | OA % by seed | mean | minus control | minus published |", "|---|---|---|---|---|"]
    for arm, values in (stand | found).items():
        each = ", ".join(f"{seed}: {100 * value:.1f}" for seed, value in values.items())
        cells = [arm, each, f"{100 * mean(values.values()):.1f}"]
        for other in ("control", PUBLISHED):
            pairs = [100 * (value - stand[other][seed]) for seed, value in values.items()]
            cells.append(gain(pairs) if arm not in ("control", other) else "")
        lines.append(f"| {' | '.join(cells)} |")
    write_text(results / "published.json", json.dumps(stand | found, indent=1) + "\n")
    write_text(results / "published.md", PROTOCOL + "\n".join(lines) + "\n")


def main() -> None:
    """Train every change with every seed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/study"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    known = earlier(args.results)
    wanted = [
        Run(FRACTION, 0, s, a) for s in BUDGETS[FRACTION].seeds for a in ("control", PUBLISHED)
    ]
    if missing := [run.folder for run in wanted if run not in known]:
        sys.exit(f"{args.results / 'study.json'} lacks {missing[0]}; run benchmarks.study first")
    samples = len(class_balanced_subset(ModelNet40(args.data, "train", 1024), FRACTION, 0))
    train(Run(FRACTION, 0, 0, TEACHING), args.runs, args.data, samples)
    found: dict[str, dict[int, float]] = {}
    for seed in BUDGETS[FRACTION].seeds:
        for arm in CHANGED:
            run = Run(FRACTION, 0, seed, arm)
            train(run, args.runs, args.data, samples)
            found.setdefault(arm, {})[seed] = overall(args.runs, run)
            print(f"{arm}, seed {seed}: {found[arm][seed]:.1%}", flush=True)
            write(args.results, known, found)


if __name__ == "__main__":
    main()
