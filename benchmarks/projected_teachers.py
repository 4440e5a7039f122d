"""What a teacher of projections gains by more points and more views, where no mesh is at hand.

    python -m benchmarks.projected_teachers [--seeds 3] [--runs runs/projected_teachers]
                                            [--output benchmarks/results]

The recipe `shapes_few` (ten labelled scans a class, thirty without labels, a student of 512 points)
with views that are made of the scans alone: projections of 64 pixels, six of the student's own
points; six of 4,096 points of the same scan, of which the student gets the first 512; twenty of
those; and, of these twenty, six drawn anew in every step of stage I. Or shaded pictures of the
surface of the student's points (`views.kind=surface`), twelve around it, four drawn a step. The
controls learn from the labels alone, on the same scans. Reported are teacher and student on the 240
test scans after their last epoch, for each seed, and by how much they pass the control, with 95 %
intervals. Runs that are finished are not repeated. Writes projected_teachers.{json,md}.
"""

from pathlib import Path

from benchmarks.seeds import Figures, compare
from benchmarks.study_parts.tables import gain
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

CONTROL = ("method=none", "distillation={}", "data.unlabelled=")
MORE = ("views.points=4096",)
TWENTY = (*MORE, "views.cameras=dodecahedron")
SURFACE = ("views.kind=surface", "views.cameras=ring12", "views.drawn=4")
TEACHERS: dict[str, tuple[str, ...]] = {
    "no images, 512 points": CONTROL,
    "six views, 512 points": (),
    "surface, 512 points": SURFACE,
    "no images, 4,096 points": (*MORE, *CONTROL),
    "six views, 4,096 points": MORE,
    "twenty views, 4,096 points": TWENTY,
    "twenty views, 4,096 points, six drawn a step": (*TWENTY, "views.drawn=6"),
}
VIEWS = "views={kind: projected, size: 64}"


def measure(teacher: str, seed: int, runs: Path) -> dict[str, float]:
    """Train one teacher and its student, or read what an earlier call trained."""
    pictures = (f"views.root={runs / 'surfaces'}",) if TEACHERS[teacher] == SURFACE else ()
    config = load_config("shapes_few", (f"seed={seed}", VIEWS, *TEACHERS[teacher], *pictures))
    slug = teacher.replace(",", "").replace(" ", "-")
    result = run(config, runs / f"{slug}-{seed}")
    measured = ("teacher", "student") if result["teacher"] else ("student",)
    return {name: 100 * result[name]["overall"] for name in measured}


def table(figures: Figures) -> str:
    control: list[float] = []
    lines = [
        "| teacher sees | teacher, % | minus the control | student, % | minus the control |",
        "|---|---|---|---|---|",
    ]
    for teacher, seeds in figures.items():
        cells = []
        if TEACHERS[teacher][-len(CONTROL) :] == CONTROL:
            control = [one["student"] for one in seeds]
        for network in ("teacher", "student"):
            values = [one[network] for one in seeds if network in one]
            apart = [one - other for one, other in zip(values, control, strict=False)]
            cells += [", ".join(f"{one:.1f}" for one in values), gain(apart) if any(apart) else ""]
        lines.append(f"| {teacher} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    compare(str(__doc__), "Projected teachers", TEACHERS, measure, table, seeds=3)
