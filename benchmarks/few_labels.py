"""What images give where labels are few and images know more: the demo, for more seeds.

    python -m benchmarks.few_labels [--seeds 5] [--runs FOLDER] [--output benchmarks/results]

The recipe `shapes_few` on the embedded shapes: ten labelled scans a class, noisy and seen from one
side, thirty more without labels, a PointNet++ of 189,788 parameters, and a teacher that sees
rendered views of the whole objects. Each seed draws its own labelled scans and has a teacher and a
generator of its own. Overall accuracy on 240 unseen scans after the last epoch, paired by seed;
the interval is Student's t at 95 %. All arms but the first see the same clouds; "logits alone"
leaves feature and classifier enhancement out, "enhancements alone" the teacher's softened logits.
Runs that are finished are not repeated. Writes few_labels.json and .md.
"""

from pathlib import Path
from statistics import mean

from benchmarks.seeds import Figures, compare
from benchmarks.study_parts.tables import gain
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

ARMS: dict[str, tuple[str, ...]] = {
    "control": ("method=none",),
    "self": ("method=self", "distillation.run={runs}/control-{seed}"),
    "pointcmt": (),
    "logits": (
        "distillation.feature=0.0",
        "distillation.classifier=0.0",
        "distillation.supervise=0.0",
        "stages_from={runs}/pointcmt-{seed}",
    ),
    "enhancements": ("distillation.logits=0.0", "stages_from={runs}/pointcmt-{seed}"),
}
NAMES = {
    "control": "labels alone",
    "self": "and unlabelled scans, no images",
    "pointcmt": "and images: PointCMT",
    "logits": "images by logits alone",
    "enhancements": "images by enhancements alone",
}


def measure(arm: str, seed: int, runs: Path) -> dict[str, float]:
    """Train one run, or read what an earlier call trained."""
    words = [word.format(runs=runs, seed=seed) for word in ARMS[arm]]
    shared = (f"views.root={runs / 'views'}", f"seed={seed}", f"data.subset_seed={seed}")
    result = run(load_config("shapes_few", (*shared, *words)), runs / f"{arm}-{seed}")
    teacher = {"teacher": 100 * result["teacher"]["overall"]} if arm == "pointcmt" else {}
    return {"accuracy": 100 * result["student"]["overall"], **teacher}


def table(figures: Figures) -> str:
    """Return the arms' accuracies, and what each has over those without images."""
    found = {arm: [one["accuracy"] for one in seeds] for arm, seeds in figures.items()}
    teachers = [one["teacher"] for one in figures["pointcmt"]]
    lines = [
        "| trained on | accuracy by seed, % | mean | minus labels alone | minus no images |",
        "|---|---|---:|---:|---:|",
    ]
    for arm, seeds in found.items():
        beside = [
            gain([a - b for a, b in zip(seeds, found[other], strict=True)])
            if arm not in ("control", other)
            else ""
            for other in ("control", "self")
        ]
        each = ", ".join(f"{one:.1f}" for one in seeds)
        lines.append(f"| {NAMES[arm]} | {each} | {mean(seeds):.1f} | {' | '.join(beside)} |")
    told = ", ".join(f"{one:.1f}" for one in teachers)
    more = gain([a - b for a, b in zip(found["pointcmt"], found["logits"], strict=True)])
    closing = f"Teachers, one a seed: {told} %. PointCMT minus its logits alone: {more}."
    return "\n".join([*lines, "", closing])


if __name__ == "__main__":
    compare(str(__doc__), "Few labels, and images that know more", ARMS, measure, table, seeds=5)
