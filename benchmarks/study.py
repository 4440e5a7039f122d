"""Do images help? Every arm on fractions of ModelNet40, each beside its own control.

    python -m benchmarks.study --data FOLDER [--runs runs/study] [--workers 2]
        [--fractions 0.02 0.05] [--arms control "FE + CE, balanced"] [--seeds 0 1] [--subsets 0]
        [--networks pointnext-s] [--results benchmarks/results]

FOLDER holds the HDF5 files. Each run is a process of one thread; a run that stands in the tables
study.{json,md} is not repeated, and one that was interrupted goes on where it stopped. After every
run the tables and their picture, study.png, are made anew, with what is missing.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Lock

from benchmarks.study_parts.picture import draw
from benchmarks.study_parts.plan import ARMS, BUDGETS, NETWORKS, TEACHING, Run, needs, options, plan
from benchmarks.study_parts.tables import table
from pointcmt.data import ModelNet40, class_balanced_subset
from pointcmt.files import write_beside
from pointcmt_training.folder import write_text

PROTOCOL = """# Do images help?

`python -m benchmarks.study`: a class-balanced part of ModelNet40's training split, the whole test
split (2,468 clouds), 1,024 points, six 64x64 projections of these points, a reduced PointNet++ SSG
of 486,600 parameters, exact EMD on 256 points, last epoch. The clouds are a sampling of the CAD
files of our own, not the official HDF5 files. All arms of a subset share one teacher and one
generator, trained on the labelled clouds alone; arms of one seed share everything else. Where the
first teachers were no longer at hand, they were trained anew by the same recipe and seed: at 2 %
for FE, CE, Hinton's and the published weights (but seed 0 of subset 0) and the PointNeXt-S, 67.4 %
for 68.2 % and 65.9 % for 65.8 %; at 20 % for FE, CE and seed 2 of the logits with FE and CE, 83.2 %
for 83.1 %; at 100 % for seeds 1 and 2 of FE, 85.5 % for 85.3 %.
Differences are paired by subset and seed; the interval is Student's t at 95 %, seeds and subsets
taken as independent. "Unlabelled" arms see 32 clouds of the rest of the training split in every
step, without labels; "minus own logits" says what images add to them. A reduced PointNeXt-S of
396,984 parameters has the teachers of the PointNet++. The balanced shares were set
beforehand; those beside the teacher's logits were chosen on a validation split
(`python -m benchmarks.shares`), never on this test split. Machine: AMD EPYC, and an Intel Xeon for
the runs at 20 and 100 % that had a teacher anew; one thread a run.
"""


def train(run: Run, root: Path, data: Path, samples: int) -> None:
    """Train one run unless it is finished; its output goes to a log beside its folder."""
    folder = root / run.folder
    if (folder / "result.json").is_file():
        return
    words = [f"data.root={data}", *options(run, samples)]
    for needed in needs(run):
        key = "stages_from" if needed.arm == TEACHING else "distillation.run"
        words.append(f"{key}={root / needed.folder}")
    program = Path(sys.executable).with_name("pointcmt-train")
    with (root / f"{run.folder}.log").open("a") as log:
        subprocess.run(
            [program, "modelnet40_2pct", *words, "-o", folder],
            check=True,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    print(f"{run.folder}: done", flush=True)


def overall(root: Path, run: Run) -> float:
    """Return the overall accuracy of a finished run's student or teacher."""
    result = json.loads((root / run.folder / "result.json").read_text())
    return float(result["teacher" if run.arm == TEACHING else "student"]["overall"])


def earlier(results: Path) -> dict[Run, float]:
    """Return what the tables hold already, so that their runs need not be at hand."""
    path = results / "study.json"
    rows = json.loads(path.read_text()) if path.is_file() else []
    return {
        Run(**{f.name: row[f.name] for f in dataclasses.fields(Run)}): row["overall"]
        for row in rows
    }


def write(results: Path, found: Mapping[Run, float]) -> None:
    """Write the tables of what is finished, and draw them."""
    rows = [{**dataclasses.asdict(run), "overall": value} for run, value in sorted(found.items())]
    students = {run: value for run, value in found.items() if run.arm != TEACHING}
    teachers = {run: value for run, value in found.items() if run.arm == TEACHING}
    write_text(results / "study.json", json.dumps(rows, indent=1) + "\n")
    wanted = len(list(plan(list(BUDGETS), list(ARMS))))
    told = f"Finished: {len(students)} of {wanted} runs."
    told += " The same command goes on.\n" if len(students) < wanted else "\n"
    begun = {(run.fraction, run.network) for run in students}
    kinds = [kind for kind in product(BUDGETS, NETWORKS) if kind in begun]
    sections = [table(students, teachers, *kind) for kind in kinds]
    write_text(results / "study.md", "\n".join([PROTOCOL, told, *sections]))
    with write_beside(results / "study.png") as fresh:
        draw(students, fresh)


def main() -> None:
    """Train what is asked for and not finished."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/study"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fractions", type=float, nargs="+", default=list(BUDGETS))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--subsets", type=int, nargs="+")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--results", type=Path, help="where the tables go; by default RUNS")
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    whole = ModelNet40(args.data, "train", 1024)
    samples = {f: len(class_balanced_subset(whole, f, 0)) for f in args.fractions}
    runs = list(plan(args.fractions, args.arms, args.seeds, args.subsets, args.networks))
    results = args.results or args.runs
    found = earlier(results)
    submitted: dict[Run, Future[None]] = {}
    writing = Lock()

    def work(run: Run) -> None:
        for needed in needs(run):
            submitted[needed].result()
        train(run, args.runs, args.data, samples[run.fraction])
        with writing:
            found[run] = overall(args.runs, run)
            write(results, found)

    with ThreadPoolExecutor(args.workers) as pool:
        for run in runs:
            for one in (*needs(run), run) if run not in found else ():
                if one not in submitted:
                    submitted[one] = pool.submit(work, one)
    failed = {run: error for run, future in submitted.items() if (error := future.exception())}
    for run, error in failed.items():
        print(f"{run.folder}: {error}; see its log in {args.runs}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
