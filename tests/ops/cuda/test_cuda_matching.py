"""The matching: the CUDA source, emulated, against scipy."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pointcmt.ops import cuda
from pointcmt.ops.cuda.matching import TOLERANCE, Certified
from tests.ops.cuda.clouds import KINDS, cloud, cost, optimum
from tests.ops.cuda.emulation import FORWARD, RANDOM, REVERSE, Emulator


def prove(x: Tensor, y: Tensor, tolerance: float = TOLERANCE) -> Certified:
    """Match, and check all that a `Certified` promises against float64 and scipy."""
    made = cuda.certified_matching(x, y, tolerance)
    order = torch.arange(x.shape[1]).expand_as(made.matching)
    assert torch.equal(made.matching.sort(1).values, order), "not a bijection"
    best = optimum(x, y)
    np.testing.assert_allclose(made.cost.numpy(), cost(x, y, made.matching), rtol=1e-12)
    assert (made.bound.numpy() <= best * (1 + 1e-12)).all(), "the bound is above the optimum"
    assert (made.cost.numpy() <= made.bound.numpy() * (1 + tolerance)).all()
    assert (made.gap.numpy() <= tolerance).all()
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("onto", KINDS)
def test_the_proof_holds_on_easy_and_on_broken_clouds(
    emulator: Emulator, generator: torch.Generator, kind: str, onto: str
) -> None:
    prove(cloud(kind, 2, 70, generator), cloud(onto, 2, 70, generator))


@pytest.mark.parametrize("points", [1, 2, 15, 16, 17, 31, 32, 33, 64, 130, 257])
def test_any_number_of_points(emulator: Emulator, generator: torch.Generator, points: int) -> None:
    prove(cloud("random", 1, points, generator), cloud("random", 1, points, generator))


@pytest.mark.parametrize("points", [1023, 1024, 1025])
def test_a_noisy_shuffled_copy_of_a_thousand_points(
    emulator: Emulator, generator: torch.Generator, points: int
) -> None:
    emulator.races = False  # for speed; smaller clouds run the same code with the search on
    y = cloud("random", 1, points, generator)
    noise = torch.randn(y.shape, generator=generator) * 0.02
    prove((y + noise)[:, torch.randperm(points, generator=generator)], y)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_the_unit_of_length_does_not_matter(
    emulator: Emulator, generator: torch.Generator, scale: float
) -> None:
    x, y = cloud("random", 2, 50, generator), cloud("random", 2, 50, generator)
    prove(x * scale, y * scale)
    power = 2.0 ** round(math.log2(scale))  # a power of two changes no digit
    scaled, plain = cuda.certified_matching(x * power, y * power), cuda.certified_matching(x, y)
    assert torch.equal(scaled.matching, plain.matching)
    assert torch.equal(scaled.bound, plain.bound * power)


def test_a_far_origin_does_not_matter(emulator: Emulator, generator: torch.Generator) -> None:
    prove(cloud("random", 2, 50, generator) + 1e3, cloud("random", 2, 50, generator) + 1e3)


def test_float64_clouds_keep_their_digits(emulator: Emulator, generator: torch.Generator) -> None:
    x, y = torch.rand(2, 2, 40, 3, generator=generator, dtype=torch.float64) * 1e-6 + 1e3
    prove(x, y)
    assert dict(emulator.launches[-1].defines)["COORDINATE"] == "double"


def test_half_precision_is_matched_in_float32(
    emulator: Emulator, generator: torch.Generator
) -> None:
    x, y = cloud("random", 2, 40, generator).half(), cloud("random", 2, 40, generator).half()
    assert torch.equal(cuda.emd_matching(x, y), cuda.emd_matching(x.float(), y.float()))


def test_identical_clouds_cost_nothing(emulator: Emulator, generator: torch.Generator) -> None:
    x = cloud("random", 2, 60, generator)
    shuffled = x[:, torch.randperm(60, generator=generator)]
    for y in (x, shuffled):
        made = cuda.certified_matching(x, y)
        assert made.cost.eq(0).all()
        assert made.gap.eq(0).all()


def test_a_shifted_copy_costs_the_shift(emulator: Emulator, generator: torch.Generator) -> None:
    x = cloud("random", 1, 60, generator)
    made = cuda.certified_matching(x, x + torch.tensor([0.3, -0.4, 1.2]))
    assert made.cost.item() == pytest.approx(60 * 1.3, rel=TOLERANCE)


def test_a_collapsed_prediction_is_matched_in_one_round(
    emulator: Emulator, generator: torch.Generator
) -> None:
    made = prove(cloud("coincident", 1, 300, generator), cloud("random", 1, 300, generator))
    assert made.work[0, 1] == 1  # every bijection is optimal


def test_without_tolerance_the_optimum_is_reached(
    emulator: Emulator, generator: torch.Generator
) -> None:
    x, y = cloud("random", 3, 60, generator), cloud("random", 3, 60, generator)
    made = cuda.certified_matching(x, y, 0.0)
    np.testing.assert_allclose(made.cost.numpy(), optimum(x, y), rtol=1e-7)
    assert (made.gap < 1e-6).all()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("shared_bytes", "tiers"), [(2048, 0), (6144, 1), (96 * 1024, 2)])
def test_small_shared_memory_gives_the_same_matching(
    emulator: Emulator, generator: torch.Generator, shared_bytes: int, tiers: int, wide: bool
) -> None:
    x, y = cloud("random", 1, 140, generator), cloud("lattice", 1, 140, generator)
    x, y = (x.double(), y.double()) if wide else (x, y)
    expected = cuda.emd_matching(x, y)
    emulator.shared_bytes = shared_bytes
    assert torch.equal(cuda.emd_matching(x, y), expected)
    assert dict(emulator.launches[-1].defines)["SHARED_TIERS"] == tiers


def test_neither_the_order_of_threads_nor_the_architecture_changes_the_result(
    emulator: Emulator, generator: torch.Generator
) -> None:
    x, y = cloud("lattice", 2, 70, generator), cloud("random", 2, 70, generator)
    expected = cuda.certified_matching(x, y)
    runs = [(FORWARD, 1, 700), (REVERSE, 0, 700), *((RANDOM, seed, 700) for seed in range(4))]
    for schedule, seed, architecture in [*runs, (RANDOM, 0, 800)]:
        emulator.schedule, emulator.seed = schedule, seed
        emulator.architecture = architecture
        made = cuda.certified_matching(x, y)
        assert torch.equal(made.matching, expected.matching)
        assert torch.equal(made.bound, expected.bound)
        assert torch.equal(made.work, expected.work)


def test_a_pair_does_not_depend_on_its_batch(
    emulator: Emulator, generator: torch.Generator
) -> None:
    x, y = cloud("random", 4, 45, generator), cloud("random", 4, 45, generator)
    together = cuda.emd_matching(x, y)
    assert torch.equal(together[2:3], cuda.emd_matching(x[2:3], y[2:3]))


def test_many_small_problems_against_scipy(emulator: Emulator, generator: torch.Generator) -> None:
    for points in (3, 5, 8, 13):
        for kind in ("random", "lattice"):
            prove(cloud(kind, 60, points, generator), cloud(kind, 60, points, generator))


def test_a_number_that_is_not_finite_ends_at_once(
    emulator: Emulator, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointcmt.ops.cuda.inputs.finite", lambda **_: None)  # as in a CUDA graph
    x, y = cloud("random", 3, 40, generator), cloud("random", 3, 40, generator)
    expected = cuda.emd_matching(x, y)
    x[0, 3, 1], y[1, 4, 0] = torch.nan, -torch.inf
    made = cuda.certified_matching(x, y)
    assert torch.equal(made.matching[:2], torch.arange(40).expand(2, -1))
    assert torch.equal(made.matching[2], expected[2])
    assert made.gap.isnan().tolist() == [True, True, False]


def test_empty_clouds_and_batches(emulator: Emulator) -> None:
    assert cuda.emd_matching(torch.zeros(0, 5, 3), torch.zeros(0, 5, 3)).shape == (0, 5)
    made = cuda.certified_matching(torch.zeros(2, 0, 3), torch.zeros(2, 0, 3))
    assert made.matching.shape == (2, 0)
    assert made.gap.tolist() == [0, 0]
    assert not emulator.launches
