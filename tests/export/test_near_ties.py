"""Indices of an engine that rounds otherwise are excused and followed; wrong ones are not."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pointcmt.data import Shapes
from pointcmt.models import Student
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.verify import Check, failed
from pointcmt_export.verify.check import EXACT
from pointcmt_export.verify.near_ties import ROUNDING, excused
from pointcmt_export.verify.parity import parity_checks
from pointcmt_export.verify.runners import Runner, checkpoint_runner, following
from pointcmt_serve.engines import Outputs
from tests.reference.fused import Floats, Indices, choose, fused, gridded
from tests.reference.small_students import small_student

SHAPES = ((6, 200), (2, 80))
CENTRES = {"rscnn": (32, 12), "pointmlp": (32, 12)}
GROUPS: dict[str, Sequence[dict[str, Any]]] = {
    "rscnn": ({"radius": 0.23, "k": 49}, {"radius": 0.32, "k": 65}),
    "pointmlp": ({"k": 6},) * 2,
}


def steps(name: str) -> list[HostStep]:
    """The steps of a small student, as `host_steps` finds them."""
    found, place = [], "points"
    for level, (m, numbers) in enumerate(zip(CENTRES[name], GROUPS[name], strict=True)):
        sample = f"farthest_point_sample_{level}"
        group = "ball_query" if "radius" in numbers else "knn"
        sets = {"xyz": place, "centers": sample}
        sets = sets if group == "ball_query" else {"query": sample, "points": place}
        found.append(HostStep(sample, "farthest_point_sample", {"xyz": place}, {"m": m}))
        found.append(HostStep(f"{group}_{level}", group, sets, numbers))
        place = sample
    return found


class Made:
    """A small student, its steps, and clouds whose points lie on a grid."""

    def __init__(self, name: str, points: Floats | None = None) -> None:
        self.student: Student = small_student(name)
        self.steps = steps(name)
        shapes = Shapes("test", per_class=1, points=200)
        self.clouds = gridded(shapes.points if points is None else points, name)

    def engine(self, spoil: Callable[[dict[str, Indices]], None] = lambda found: None) -> Runner:
        """An engine with fused arithmetic whose indices `spoil` may change."""
        follow = following(self.student)

        def run(points: Floats, indices: bool) -> Outputs:
            found = choose(self.steps, points)
            logits = follow(points, found)
            spoil(found)
            return Outputs(logits, found)

        return run

    def checks(self, engine: Runner) -> dict[str, Check]:
        found = parity_checks(self.student, engine, self.clouds, SHAPES, EXACT, self.steps)
        return {check.name: check for check in found}


@pytest.fixture(scope="module", params=["rscnn", "pointmlp"])
def made(request: pytest.FixtureRequest) -> Made:
    """Ball queries in one, nearest neighbours in the other."""
    return Made(request.param)


def test_another_rounding_is_excused_counted_and_followed_to_the_logits(made: Made) -> None:
    checks = made.checks(made.engine())
    assert not failed(checks.values())
    ties = checks["indices"].figures["near_ties"]
    assert 4 <= ties["clouds"] <= ties["of"] == 8
    assert f"near-ties in {ties['clouds']} of 8 clouds" in checks["indices"].detail
    assert checks["indices"].figures["equal_share"]["farthest_point_sample_0"] < 1


def test_logits_of_the_checkpoints_own_indices_would_not_do(made: Made) -> None:
    """An engine that tells other indices than those of its logits is caught."""
    honest = checkpoint_runner(made.student)

    def engine(points: Floats, indices: bool) -> Outputs:
        return Outputs(honest(points, False).logits, choose(made.steps, points))

    assert "logits" in {check.name for check in failed(made.checks(engine).values())}


def swap_two_samples(found: dict[str, Indices]) -> None:
    found["farthest_point_sample_0"][0, [1, 7]] = found["farthest_point_sample_0"][0, [7, 1]]


def begin_elsewhere(found: dict[str, Indices]) -> None:
    found["farthest_point_sample_0"][1, 0] = 1


def repeat_a_sample(found: dict[str, Indices]) -> None:
    found["farthest_point_sample_1"][0, -1] = found["farthest_point_sample_1"][0, 0]


def lie_outside(found: dict[str, Indices]) -> None:
    found["farthest_point_sample_0"][0, 3] = -1


def last(found: dict[str, Indices]) -> Indices:
    """The last step's groups, (B, M, k)."""
    return found[list(found)[-1]]


def forget_a_neighbour(found: dict[str, Indices]) -> None:
    groups = last(found)
    groups[0, 0, 1:-1] = groups[0, 0, 2:]
    groups[0, 0, -1] = groups[0, 0, 0]


def keep_the_first_neighbour_alone(found: dict[str, Indices]) -> None:
    groups = last(found)
    spread = [len(set(row)) for row in groups[0].tolist()]
    row = groups[0, int(np.argmax(spread))]
    row[1:] = row[0]


def reverse_a_group(found: dict[str, Indices]) -> None:
    last(found)[0, 0] = last(found)[0, 0, ::-1].copy()


def add_a_stranger(found: dict[str, Indices]) -> None:
    groups = last(found)
    spread = [len(set(row)) for row in groups[0].tolist()]
    row = groups[0, int(np.argmin(spread))]
    row[-1] = next(i for i in range(999) if i not in set(row.tolist()))


@pytest.mark.parametrize(
    "spoil",
    [
        swap_two_samples,
        begin_elsewhere,
        repeat_a_sample,
        lie_outside,
        forget_a_neighbour,
        keep_the_first_neighbour_alone,
        reverse_a_group,
        add_a_stranger,
    ],
)
def test_a_wrong_index_among_near_ties_is_caught(made: Made, spoil: Any) -> None:
    assert "indices" in {check.name for check in failed(made.checks(made.engine(spoil)).values())}


def test_the_bound_is_neither_wider_nor_narrower_than_rounding() -> None:
    """A point that is nearer by more than the bound may not be taken for the farthest."""
    step = HostStep("s", "farthest_point_sample", {"xyz": "points"}, {"m": 2})

    def allowed(share: float) -> bool:
        """Whether the second of two points may be taken, nearer by a share of what may pass."""
        squared = 1 - share * 2 * ROUNDING
        points = np.zeros((1, 3, 3))
        points[0, 1, 0], points[0, 2, 0] = 1, np.sqrt(squared)
        found = excused([step], points, {"s": np.array([[0, 2]])})  # type: ignore[arg-type]
        return bool(found["s"][0])

    assert allowed(0.0)
    assert allowed(0.9)
    assert not allowed(1.1)


def test_no_order_of_rounding_leaves_the_bound() -> None:
    random = np.random.default_rng(0)
    a, b = random.uniform(-1, 1, (2, 300, 3)).astype(np.float32)
    exact = ((a[:, None].astype(np.float64) - b[None]) ** 2).sum(2)
    assert np.abs(fused(a, b) / exact - 1).max() < ROUNDING
    assert np.abs(fused(a[:, ::-1], b[:, ::-1]) / exact - 1).max() < ROUNDING
    plain = np.square(a[:, None] - b[None])
    assert np.abs((plain[..., 0] + plain[..., 1] + plain[..., 2]) / exact - 1).max() < ROUNDING


def test_real_clouds_on_a_grid_are_excused(modelnet40_root: Path) -> None:
    with h5py.File(modelnet40_root / "ply_data_test0.h5") as file:
        made = Made("rscnn", file["data"][:12, :200])
    checks = made.checks(made.engine())
    assert not failed(checks.values())
    assert checks["indices"].figures["near_ties"]["clouds"] > 0


def test_indices_the_engine_keeps_to_itself_are_not_excused(made: Made) -> None:
    def engine(points: Floats, indices: bool) -> Outputs:
        given: Mapping[str, Indices] = checkpoint_runner(made.student)(points, True).indices
        some = dict(list(given.items())[1:])
        return Outputs(checkpoint_runner(made.student)(points, False).logits, some)

    (check,) = failed(made.checks(engine).values())
    assert (check.name, "farthest_point_sample_0" in check.detail) == ("indices", True)
