"""What the study trains: fractions of ModelNet40, arms, and runs in the order of their worth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

BALANCED = (
    "distillation.balance=share",
    "distillation.feature=0.1",
    "distillation.classifier=0.5",
    "distillation.warmup=0.2",
    "distillation.supervise=1.0",
)
GENTLE = (
    "distillation.balance=share",
    "distillation.feature=0.05",
    "distillation.classifier=0.1",
    "distillation.warmup=0.2",
    "distillation.supervise=1.0",
    "distillation.logits=1.0",
)
UNLABELLED = ("data.unlabelled=rest", "data.unlabelled_batch=32")
PUBLISHED = ("distillation.feature=30.0", "distillation.classifier=0.3")
SOFT = ("method=hinton", "distillation={temperature: 2.0}")

ARMS: dict[str, tuple[str, ...]] = {
    "control": ("method=none",),
    "FE + CE, balanced": BALANCED,
    "unlabelled: teacher's logits": (*SOFT, *UNLABELLED),
    "unlabelled: teacher's logits, FE, CE": (*GENTLE, *UNLABELLED),
    "unlabelled: own logits, no images": (
        "method=self",
        "distillation={temperature: 2.0}",
        *UNLABELLED,
    ),
    "FE + CE, published": PUBLISHED,
    "CE": ("distillation.feature=0.0", "distillation.classifier=0.3"),
    "FE": ("distillation.feature=30.0", "distillation.classifier=0.0"),
    "Hinton": SOFT,
}
CHANGED: dict[str, tuple[str, ...]] = {  # of `benchmarks.published`
    "published, but the KL's target is taught": (*PUBLISHED, "distillation.supervise=1.0"),
    "published, but the KL is a batch's mean": (*PUBLISHED, "distillation.reduction=batchmean"),
}
OWN = "unlabelled: own logits, no images"


@dataclass(frozen=True)
class Network:
    """A student that is studied.

    Attributes:
        name: in words.
        options: `key=value` options where they are not the recipe's.
        fractions: it is trained on.
        arms: it is trained by.
    """

    name: str
    options: tuple[str, ...]
    fractions: tuple[float, ...]
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Budget:
    """What one fraction costs, in steps, so that a larger one does not cost more epochs.

    Attributes:
        steps: of stage III.
        teacher_steps: of stages I and II.
        batch_size: labelled clouds a step, in all stages.
        subsets: seeds that draw the fraction.
        seeds: of the students.
        paper: the paper's OA without and with images, for PointNet++ (Tables 1 and 3).
    """

    steps: int
    teacher_steps: int
    batch_size: int
    subsets: tuple[int, ...]
    seeds: tuple[int, ...]
    paper: tuple[float, float]


BUDGETS = {
    0.02: Budget(2400, 1200, 16, (0, 1), (0, 1, 2, 3, 4), (73.3, 75.2)),
    0.05: Budget(3000, 1500, 16, (0,), (0, 1, 2), (82.1, 83.5)),
    0.1: Budget(4000, 2000, 16, (0,), (0, 1, 2), (85.1, 87.9)),
    0.2: Budget(4000, 2000, 32, (0,), (0, 1, 2), (88.4, 89.3)),
    1.0: Budget(6140, 2000, 32, (0,), (0, 1, 2), (93.4, 94.4)),
}


RECIPES = "pointnet2-ssg"  # the student of the recipe
NETWORKS = {
    RECIPES: Network("a reduced PointNet++ SSG", (), tuple(BUDGETS), tuple(ARMS)),
    "pointnext-s": Network(
        "a reduced PointNeXt-S",
        ("student=pointnext-s", "options={width: 0.5, centres: [64, 16, 8, 4]}"),
        (0.02,),
        ("control", "FE + CE, balanced", "unlabelled: teacher's logits", OWN),
    ),
}


@dataclass(frozen=True, order=True)
class Run:
    """One training: an arm, or ("teaching") the stages I and II that the arms of a subset share."""

    fraction: float
    subset: int
    seed: int
    arm: str
    network: str = RECIPES

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        slug = "-".join("".join(c if c.isalnum() else " " for c in self.arm.lower()).split())
        network = "" if self.network == RECIPES else f"-{self.network}"
        return f"{self.fraction:g}-{self.subset}-{slug}-{self.seed}{network}"


TEACHING = "teaching"


def plan(
    fractions: Sequence[float],
    arms: Sequence[str],
    seeds: Sequence[int] | None = None,
    subsets: Sequence[int] | None = None,
    networks: Sequence[str] = tuple(NETWORKS),
) -> Iterator[Run]:
    """Yield the students' runs, fraction by fraction and seed by seed, all arms of a seed.

    Seeds and subsets are those of the budget unless given; with the whole of the split there is
    nothing unlabelled.
    """
    for fraction, name in product(fractions, networks):
        budget, network = BUDGETS[fraction], NETWORKS[name]
        if fraction not in network.fractions:
            continue
        for seed in budget.seeds if seeds is None else seeds:
            for subset in budget.subsets if subsets is None else subsets:
                for arm in network.arms:
                    if arm in arms and not (fraction == 1 and arm.startswith("unlabelled")):
                        yield Run(fraction, subset, seed, arm, name)


def needs(run: Run) -> tuple[Run, ...]:
    """Return the runs that must be finished first."""
    if run.arm in (TEACHING, "control"):
        return ()
    if run.arm == OWN:
        return (replace(run, arm="control"),)
    return (Run(run.fraction, run.subset, 0, TEACHING),)


def options(run: Run, samples: int) -> list[str]:
    """Return the run's `key=value` options.

    Args:
        run: which.
        samples: labelled clouds of its fraction, which turn steps into epochs.
    """
    budget = BUDGETS[run.fraction]
    size = budget.batch_size
    epochs = {"teacher": budget.teacher_steps, "generator": budget.teacher_steps}
    epochs["training"] = 1 if run.arm == TEACHING else budget.steps
    counts = {stage: ceil(steps / (samples // size)) for stage, steps in epochs.items()}
    return [
        f"data.fraction={run.fraction}",
        f"data.subset_seed={run.subset}",
        f"seed={run.seed}",
        *(f"{stage}.epochs={count}" for stage, count in counts.items()),
        *(f"{stage}.batch_size={size}" for stage in counts),
        *(ARMS | CHANGED).get(run.arm, ()),
        *NETWORKS[run.network].options,
    ]
