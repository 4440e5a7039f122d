"""What teachers that know more give: rendered normals, and several networks.

    python -m benchmarks.teachers [--seeds 3] [--runs runs/teachers] [--output benchmarks/results]

The recipe `shapes_few` (ten labelled scans a class, thirty without labels), whose teacher sees
shaded pictures of the whole objects, or their normals, with one CNN or three. Reported are teacher
and student on the 240 test scans after their last epoch, for each seed, and the student's paired
difference to the first row with a 95 % interval. Runs that are finished are not repeated. Writes
teachers.json and .md.
"""

from pathlib import Path

from benchmarks.seeds import Figures, compare
from benchmarks.study_parts.tables import gain
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

TEACHERS: dict[str, tuple[str, ...]] = {
    "shaded pictures": (),
    "normals": ("views.look=normals",),
    "normals, three networks": ("views.look=normals", "teacher.networks=3"),
}


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


if __name__ == "__main__":
    compare(str(__doc__), "Teachers that know more", TEACHERS, measure, table, seeds=3)
