"""What training by autocast in bfloat16 does to accuracy, and to speed on this processor.

    python -m benchmarks.autocast [--seeds 5] [--runs runs/autocast] [--output benchmarks/results]

The control of the recipe `shapes` (the student alone, 450 steps), in float32 and with
`compute.precision=bf16`, which runs the products of a step in bfloat16. Reported are the accuracy
on the 240 test scans after the last epoch, for each seed, the paired difference with a 95 %
interval, and the seconds of CPU time. A processor without instructions for bfloat16 computes the
same numbers, slower than in float32. Runs that are finished are not repeated. Writes autocast.json
and .md.
"""

from pathlib import Path
from statistics import mean

from benchmarks.seeds import Figures, compare
from benchmarks.study_parts.tables import gain
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

PRECISIONS = ("float32", "bf16")


def measure(precision: str, seed: int, runs: Path) -> dict[str, float]:
    """Train one run, or read what an earlier call trained."""
    overrides = ("method=none", f"seed={seed}", f"compute.precision={precision}")
    result = run(load_config("shapes", overrides), runs / f"{precision}-{seed}")
    seconds = result["seconds"]["training"]["cpu_seconds"]
    return {"accuracy": 100 * result["student"]["overall"], "seconds": seconds}


def table(figures: Figures) -> str:
    plain = [one["accuracy"] for one in figures["float32"]]
    lines = ["| precision | accuracy, % | minus float32 | seconds |", "|---|---|---|---|"]
    for precision, seeds in figures.items():
        found = [one["accuracy"] for one in seeds]
        apart = [one - other for one, other in zip(found, plain, strict=True)]
        cells = (
            ", ".join(f"{one:.1f}" for one in found),
            gain(apart) if precision != "float32" else "",
            f"{mean(one['seconds'] for one in seeds):.0f}",
        )
        lines.append(f"| {precision} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    compare(str(__doc__), "Training in bfloat16", PRECISIONS, measure, table, seeds=5)
