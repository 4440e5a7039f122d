"""The cascade of two students, and the order of the runs it is measured on."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.pareto import MARGINS, cascade, margin
from benchmarks.pareto_parts.plan import WIDEST, Point, Step, plan
from benchmarks.pareto_parts.report import gains, write

CLASSES = 5


class Fixed:
    """A classifier whose answer for a cloud stands in the cloud's first coordinate."""

    def __init__(self, answers: NDArray[np.float64]) -> None:
        self._answers = answers
        self.asked: list[int] = []

    def __call__(self, clouds: NDArray[np.float32]) -> Iterator[Any]:
        for cloud in clouds:
            self.asked.append(int(cloud[0, 0]))
            yield SimpleNamespace(probabilities=self._answers[self.asked[-1]])


@pytest.fixture
def two() -> tuple[Fixed, Fixed, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    count = 70
    answers = rng.dirichlet(np.ones(CLASSES), (2, count))
    clouds = np.broadcast_to(np.arange(count)[:, None, None], (count, 4, 3)).astype(np.float32)
    return Fixed(answers[0]), Fixed(answers[1]), clouds


@pytest.mark.parametrize("least", [0.0, *MARGINS, 1.1])
def test_the_second_answers_what_the_first_is_unsure_of(
    two: tuple[Any, Any, NDArray[np.float32]], least: float
) -> None:
    quick, slow, clouds = two
    found = cascade(quick, slow, clouds, least)
    for index, answer in enumerate(found):
        second, first = np.sort(quick._answers[index])[-2:]
        teller = slow if first - second < least else quick
        assert answer == teller._answers[index].argmax()
    assert slow.asked == [i for i in range(len(clouds)) if margin(quick._answers)[i] < least]


def test_the_teacher_comes_first_and_every_taught_student_has_its_control() -> None:
    runs = plan()
    assert runs[0] == (WIDEST, False, 0)
    taught = [run for run in runs if run[1]]
    assert taught
    assert all((size, False, seed) in runs for size, _, seed in taught)
    assert WIDEST not in {size for size, _, _ in taught}


def test_the_page_pairs_what_was_taught_with_its_control_by_seed(tmp_path: Path) -> None:
    accuracies = {
        (taught, seed): 0.8 + 0.01 * taught + 0.02 * seed for taught in (0, 1) for seed in (0, 1)
    }
    points = [
        Point("quarter", bool(t), s, 10, a, (100.0, 50.0)) for (t, s), a in accuracies.items()
    ]
    assert gains(points) == ["`quarter`, distilled minus labels alone: +1.0 ± 0.0 points."]
    steps = [Step(True, 0.1, 0.25, 0.85, 90.0)]
    write(tmp_path, "protocol", points, steps)
    text = (tmp_path / "pareto.md").read_text()
    assert "| quarter | wide | 10 | 81.00, 83.00 | 100 | 50 |" in text
    assert "| wide | 0.1 | 25% | 85.00 | 90 |" in text
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")
