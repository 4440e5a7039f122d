"""The main job on the embedded shapes, with the commands that a user would type.

    python examples/demo.py [FOLDER]        (`make demo` sets everything up and calls it)

Ten labelled scans a class, thirty without labels, and a teacher that sees rendered views of the
whole objects: trains the control, a student that learns from unlabelled scans without images, and
PointCMT, on two seeds; exports the last to ONNX, verifies it against its checkpoint, classifies
mesh files with it and with the shipped students, and prints what was measured.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from statistics import mean
from typing import Any

from pointcmt.data import Shapes
from pointcmt_serve.pretrained import names

BATCH = 32
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # two trainings run side by side
SEEDS = (0, 1)
EXAMPLES = 4  # mesh files to classify


def command(*words: object, log: Path | None = None) -> str:
    """Show and run one command; return what it wrote to its standard output.

    Progress and errors go to the terminal, or to the file `log`.
    """
    program, *arguments = map(str, words)
    print(f"\n$ {shlex.join([program, *arguments])}", flush=True)
    path = Path(sys.executable).with_name(program)
    with log.open("w") if log else nullcontext() as errors:
        done = subprocess.run(
            [path, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=ONE_THREAD,
        )
    if done.returncode:
        sys.exit(f"{done.stdout}{program} failed" + (f"; see {log}" if log else ""))
    return done.stdout


def write_meshes(folder: Path) -> list[Path]:
    """Write objects of the test split as OFF files."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = Shapes("test", per_class=1)
    files = []
    for index in range(EXAMPLES):
        mesh = shapes.mesh(index)
        path = folder / f"{shapes.classes[shapes.labels[index]]}.off"
        vertices = "".join(f"{x:.6g} {y:.6g} {z:.6g}\n" for x, y, z in mesh.vertices)
        faces = "".join(f"3 {a} {b} {c}\n" for a, b, c in mesh.faces)
        path.write_text(f"OFF\n{len(mesh.vertices)} {len(mesh.faces)} 0\n{vertices}{faces}")
        files.append(path)
    return files


def speeds(model: Path, *exported: Path) -> dict[str, float]:
    """Measure samples a second of torch and of ONNX, side by side."""
    engines = ("--engine", "torch-eager", "--engine", "onnxruntime")
    measured = command(
        *("pointcmt-export", "bench", model, *exported, *engines),
        *("--batch", BATCH, "--seconds", 3, "--json"),
    )
    rows = json.loads(measured)["results"]
    measured_rows = [row for row in rows if row["status"] == "measured"]
    return {f"{row['engine']} on {row['target']}": row["samples_per_s"] for row in measured_rows}


def train(root: Path, arm: str, seed: int, *options: str) -> dict[str, Any]:
    """Train one arm into its folder; return its result."""
    folder = root / f"{arm}-{seed}"
    pictures = f"views.root={root / 'views'}"
    words = ("shapes_few", f"seed={seed}", pictures, *options, "-o", folder, "--json")
    root.mkdir(parents=True, exist_ok=True)
    log = root / f"{arm}-{seed}.log"
    result: dict[str, Any] = json.loads(command("pointcmt-train", *words, log=log))
    return result


def without_images(root: Path, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train the controls: labels alone, then a student taught by that one on unlabelled scans."""
    control = train(root, "control", seed, "method=none")
    run = f"distillation.run={root / f'control-{seed}'}"
    return control, train(root, "self", seed, "method=self", run)


def with_its_teacher(root: Path, seed: int, first: Future[dict[str, Any]]) -> dict[str, Any]:
    """Train PointCMT with the teacher of the first seed."""
    first.result()
    return train(root, "pointcmt", seed, f"stages_from={root / f'pointcmt-{SEEDS[0]}'}")


def train_all(root: Path) -> str:
    """Train every arm on every seed, two at a time; return the table of their accuracies."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(train, root, "pointcmt", SEEDS[0])
        pairs = [pool.submit(without_images, root, seed) for seed in SEEDS]
        others = [pool.submit(with_its_teacher, root, seed, first) for seed in SEEDS[1:]]
    return accuracies([pair.result() for pair in pairs], [one.result() for one in (first, *others)])


def main(root: Path) -> None:
    """Run it all and print the tables."""
    started = time.monotonic()
    table = train_all(root)
    run, exported, host = root / f"pointcmt-{SEEDS[0]}", root / "exported", root / "exported-host"
    checks = ("--data", "shapes", "--json")
    report = json.loads(command("pointcmt-export", run, "-o", exported, *checks))
    command("pointcmt-export", run, "--sampling", "host", "-o", host, *checks)
    meshes = write_meshes(root / "meshes")
    for model in (exported, *names()):
        print(command("pointcmt-classify", model, *meshes, "--up", "y"))
    rates = speeds(run / "student", exported, host)
    print(f"{table}\n\n{closing_table(report, rates)}")
    print(f"\nReport: {run / 'report.html'}")
    print(f"Deploy: {exported}")
    print(f"Took {time.monotonic() - started:.0f} s")


def accuracies(
    controls: Sequence[tuple[dict[str, Any], dict[str, Any]]], students: Sequence[dict[str, Any]]
) -> str:
    """Return overall accuracies on the test split, a column a seed, and the gains, as text."""
    own = [student["student"]["overall"] for student in students]
    plain, itself = (
        [one["student"]["overall"] for one in arm] for arm in zip(*controls, strict=True)
    )
    rows = [
        ("labelled scans alone (control)", plain),
        ("and unlabelled ones, no images", itself),
        ("and images: PointCMT", own),
    ]
    lines = [f"{'seed':<32}" + "".join(f"{seed:>8}" for seed in SEEDS) + f"{'gain':>9}"]
    for name, values in rows:
        gain = mean(values) - mean(plain)
        cells = "".join(f"{value:>8.1%}" for value in values)
        lines.append(f"{name:<32}{cells}{100 * gain:>+9.1f}")
    teacher = students[0]["teacher"]["overall"]
    return "\n".join([*lines, f"{'the teacher, which sees images':<32}{teacher:>8.1%}"])


def closing_table(report: dict[str, Any], rates: dict[str, float]) -> str:
    """Return parity and speeds as aligned text."""
    rows = [(f"check: {check['name']}", check["status"]) for check in report["checks"]]
    rows += [(f"{name}, batch {BATCH}", f"{rate:.0f} samples/s") for name, rate in rates.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
