"""The study's figures: per-seed values, paired differences and their intervals, as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev

from scipy.special import stdtrit

from benchmarks.study_parts.plan import BUDGETS, NETWORKS, OWN, RECIPES, Run

Found = Mapping[Run, float]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return mean and half width of the 95 % confidence interval (Student's t, two or more)."""
    spread = stdev(differences) / len(differences) ** 0.5
    return mean(differences), float(stdtrit(len(differences) - 1, 0.975)) * spread


def paired(
    found: Found, fraction: float, arm: str, other: str, network: str = RECIPES
) -> list[float]:
    """Return `arm` minus `other` in points, for every subset and seed that has both."""
    pairs = (
        (100 * value, 100 * found[partner])
        for run, value in sorted(found.items())
        if (run.fraction, run.arm, run.network) == (fraction, arm, network)
        and (partner := replace(run, arm=other)) in found
    )
    return [one - two for one, two in pairs]


def _heading(teachers: Found, fraction: float, network: str) -> list[str]:
    budget, name = BUDGETS[fraction], NETWORKS[network].name
    title = f"## {fraction:.0%} of the training split"
    told = f"{budget.steps} steps of {budget.batch_size} labelled clouds."
    if network != RECIPES:
        return [f"{title}, {name}", "", f"{told} The same teachers.", ""]
    without, with_images = budget.paper
    names = ", ".join(f"{v:.1%}" for r, v in sorted(teachers.items()) if r.fraction == fraction)
    paper = (
        f"The paper: {without} to {with_images} ({with_images - without:+.1f}), PointNet++ and its "
        "full schedule."
    )
    return [title, "", f"{told} Teachers, one a subset: {names or 'none yet'}. {paper}", ""]


def table(found: Found, teachers: Found, fraction: float, network: str = RECIPES) -> str:
    """Return the section of one fraction and network."""
    budget = BUDGETS[fraction]
    lines = [
        *_heading(teachers, fraction, network),
        "| arm | OA % by subset / seed | mean | minus control | minus own logits | runs |",
        "|---|---|---|---|---|---|",
    ]
    wanted = len(budget.subsets) * len(budget.seeds)
    for arm in NETWORKS[network].arms:
        kind = (fraction, arm, network)
        runs = {r: v for r, v in sorted(found.items()) if (r.fraction, r.arm, r.network) == kind}
        if not runs:
            continue
        each = ", ".join(f"{r.subset}/{r.seed}: {v:.1%}".rstrip("%") for r, v in runs.items())
        average = 100 * mean(runs.values())
        beside = ("control", OWN) if arm.startswith("unlabelled") else ("control",)
        gains = [
            gain(paired(found, fraction, arm, one, network)) if one != arm else "" for one in beside
        ]
        cells = (arm, each, f"{average:.1f}", *gains, *[""] * (2 - len(gains)))
        lines.append(f"| {' | '.join(cells)} | {len(runs)} of {wanted} |")
    return "\n".join(lines) + "\n"


def gain(differences: Sequence[float]) -> str:
    """Write a paired difference: its mean, with the interval where two or more runs allow one."""
    if len(differences) < 2:
        return ", ".join(f"{d:+.1f}" for d in differences)
    centre, half = interval(differences)
    return f"{centre:+.1f} ± {half:.1f}"
