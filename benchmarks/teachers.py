"""What teachers that know more give: rendered normals, and several networks.

    python -m benchmarks.teachers [--seeds 3] [--runs runs/teachers] [--output benchmarks/results]

The recipe `shapes_few` (ten labelled scans a class, thirty without labels), whose teacher sees
shaded pictures of the whole objects, or their normals, with one CNN or three. Reported are teacher
and student on the 240 test scans after their last epoch, for each seed, and the student's paired
difference to the first row with a 95 % interval. Runs that are finished are not repeated. Writes
teachers.json and .md.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.machine import processor
from benchmarks.study_parts.tables import gain
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

TEACHERS: dict[str, tuple[str, ...]] = {
    "shaded pictures": (),
    "normals": ("views.look=normals",),
    "normals, three networks": ("views.look=normals", "teacher.networks=3"),
}
Figures = Mapping[str, Sequence[Mapping[str, float]]]


def measure(teacher: str, seed: int, runs: Path) -> dict[str, float]:
    """Train one teacher and its student, or read what an earlier call trained."""
    pictures = runs / ("normals-views" if "views.look=normals" in TEACHERS[teacher] else "views")
    overrides = (f"seed={seed}", f"views.root={pictures}", *TEACHERS[teacher])
    slug = teacher.replace(",", "").replace(" ", "-")
    result = run(load_config("shapes_few", overrides), runs / f"{slug}-{seed}")
    return {name: 100 * result[name]["overall"] for name in ("teacher", "student")}


def table(figures: Figures) -> str:
    first = [one["student"] for one in figures[next(iter(TEACHERS))]]
    lines = ["| teacher sees | teacher, % | student, % | minus the first |", "|---|---|---|---|"]
    for teacher, seeds in figures.items():
        students = [one["student"] for one in seeds]
        apart = [one - other for one, other in zip(students, first, strict=True)]
        cells = (
            ", ".join(f"{one['teacher']:.1f}" for one in seeds),
            ", ".join(f"{one:.1f}" for one in students),
            gain(apart) if any(apart) else "",
        )
        lines.append(f"| {teacher} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/teachers"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    figures: dict[str, list[dict[str, float]]] = {teacher: [] for teacher in TEACHERS}
    for seed in range(arguments.seeds):
        for teacher, found in figures.items():
            found.append(measure(teacher, seed, arguments.runs))
    report = {"machine": f"{processor()}, one thread", "seeds": arguments.seeds, "figures": figures}
    (arguments.output / "teachers.json").write_text(json.dumps(report, indent=1) + "\n")
    protocol = str(__doc__).split("\n\n")[2].strip()
    text = f"# Teachers that know more\n\n{protocol}\n\n{table(figures)}\n\n{report['machine']}.\n"
    (arguments.output / "teachers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
