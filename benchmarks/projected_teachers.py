"""What a teacher of projections gains by more points and more views, where no mesh is at hand.

    python -m benchmarks.projected_teachers [--seeds 3] [--runs runs/projected_teachers]
                                            [--output benchmarks/results]

The recipe `shapes_few` (ten labelled scans a class, thirty without labels, a student of 512 points)
with projections of 64 pixels in place of rendered views: six of the student's own points; six of
4,096 points of the same scan, of which the student gets the first 512; twenty of those; and, of
these twenty, six drawn anew in every step of stage I. The control learns from the labels alone.
Reported are teacher and student on the 240 test scans after their last epoch, for each seed, and
by how much the teacher, and the student, pass the control, with 95 % intervals. The control's scans
are those of 4,096 points, so that the first teacher's, which end at 512, are others of the same
kind. Runs that are finished are not repeated. Writes projected_teachers.json and .md.
"""

from pathlib import Path

from benchmarks.seeds import Figures, compare
from benchmarks.study_parts.tables import gain
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

CONTROL = "no images"
MORE = ("views.points=4096",)
TWENTY = (*MORE, "views.cameras=dodecahedron")
TEACHERS: dict[str, tuple[str, ...]] = {
    CONTROL: (*MORE, "method=none", "distillation={}", "data.unlabelled="),
    "six views, 512 points": (),
    "six views, 4,096 points": MORE,
    "twenty views, 4,096 points": TWENTY,
    "twenty views, 4,096 points, six drawn a step": (*TWENTY, "views.drawn=6"),
}
VIEWS = "views={kind: projected, size: 64}"


def measure(teacher: str, seed: int, runs: Path) -> dict[str, float]:
    """Train one teacher and its student, or read what an earlier call trained."""
    config = load_config("shapes_few", (f"seed={seed}", VIEWS, *TEACHERS[teacher]))
    slug = teacher.replace(",", "").replace(" ", "-")
    result = run(config, runs / f"{slug}-{seed}")
    measured = ("student",) if teacher == CONTROL else ("teacher", "student")
    return {name: 100 * result[name]["overall"] for name in measured}


def table(figures: Figures) -> str:
    control = [one["student"] for one in figures[CONTROL]]
    lines = [
        "| teacher sees | teacher, % | minus the control | student, % | minus the control |",
        "|---|---|---|---|---|",
    ]
    for teacher, seeds in figures.items():
        cells = []
        for network in ("teacher", "student"):
            values = [one[network] for one in seeds if network in one]
            apart = [one - other for one, other in zip(values, control, strict=False)]
            cells += [", ".join(f"{one:.1f}" for one in values), gain(apart) if any(apart) else ""]
        lines.append(f"| {teacher} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    compare(str(__doc__), "Projected teachers", TEACHERS, measure, table, seeds=3)
