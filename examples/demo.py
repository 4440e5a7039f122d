"""The main job on the embedded shapes, with the commands that a user would type.

    python examples/demo.py [FOLDER]        (`make demo` sets everything up and calls it)

Trains the control and the PointCMT student (three stages), exports the latter to ONNX, verifies it
against its checkpoint, classifies mesh files with it, and prints a closing table.
"""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pointcmt.data import Shapes

BATCH = 32
EXAMPLES = 4  # mesh files to classify


def command(*words: object) -> str:
    """Show and run one command; return what it wrote to its standard output."""
    program, *arguments = map(str, words)
    print(f"\n$ {shlex.join([program, *arguments])}", flush=True)
    path = Path(sys.executable).with_name(program)
    done = subprocess.run([path, *arguments], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stdout + f"{program} failed")
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


def main(root: Path) -> None:
    """Run it all and print the table."""
    started = time.monotonic()
    control, student, exported = root / "control", root / "pointcmt", root / "exported"
    host = root / "exported-host"
    results = {
        "control": json.loads(
            command("pointcmt-train", "shapes", "method=none", "-o", control, "--json")
        ),
        "PointCMT": json.loads(command("pointcmt-train", "shapes", "-o", student, "--json")),
    }
    checks = ("--data", "shapes", "--json")
    report = json.loads(command("pointcmt-export", student, "-o", exported, *checks))
    command("pointcmt-export", student, "--sampling", "host", "-o", host, *checks)
    print(command("pointcmt-classify", exported, *write_meshes(root / "meshes")))
    rates = speeds(student / "student", exported, host)
    print(closing_table(results, report, rates))
    print(f"\nReport: {student / 'report.html'}")
    print(f"Deploy: {exported}")
    print(f"Took {time.monotonic() - started:.0f} s")


def closing_table(
    results: dict[str, dict[str, Any]], report: dict[str, Any], rates: dict[str, float]
) -> str:
    """Return accuracies, parity and speeds as aligned text."""
    checks = {check["name"]: check for check in report["checks"]}
    rows = [("teacher OA", f"{results['PointCMT']['teacher']['overall']:.1%}")]
    rows += [(f"{arm} OA", f"{found['student']['overall']:.1%}") for arm, found in results.items()]
    rows += [(f"check: {name}", check["status"]) for name, check in checks.items()]
    rows += [(f"{name}, batch {BATCH}", f"{rate:.0f} samples/s") for name, rate in rates.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
