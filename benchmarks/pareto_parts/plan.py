"""What is trained, and what is known of it once it is measured."""

from dataclasses import dataclass

Key = tuple[str, bool, int]  # size, whether distilled, seed


@dataclass(frozen=True)
class Size:
    """A student's size, and how many seeds it is trained with."""

    options: str
    seeds: int


SIZES = {
    "wide": Size("{width: 0.5, centres: [256, 64], neighbours: [[24], [24]]}", 1),
    "half": Size("{width: 0.5, centres: [64, 16], neighbours: [[16], [16]]}", 1),
    "quarter": Size("{width: 0.25, centres: [64, 16], neighbours: [[16], [16]]}", 3),
}
WIDEST, NARROWEST = "wide", "quarter"


@dataclass(frozen=True)
class Point:
    """One student: what it cost and what it gives.

    Attributes:
        size: its name in `SIZES`.
        distilled: whether the widest student taught it.
        seed: of its training.
        parameters: how many there are.
        accuracy: on the test split, through the exported file, in [0, 1].
        rates: clouds a second in batches of 32, and one by one.
    """

    size: str
    distilled: bool
    seed: int
    parameters: int
    accuracy: float
    rates: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Step:
    """A cascade at one margin: the share that the widest answers, accuracy, clouds a second.

    `distilled` tells its first student, of seed 0.
    """

    distilled: bool
    margin: float
    passed_on: float
    accuracy: float
    rate: float


def plan() -> list[Key]:
    """Return size, whether distilled, and seed of every run; the teacher of the others first."""
    return [
        (size, distilled, seed)
        for size, chosen in SIZES.items()
        for seed in range(chosen.seeds)
        for distilled in (False, True)
        if not (distilled and size == WIDEST)
    ]
