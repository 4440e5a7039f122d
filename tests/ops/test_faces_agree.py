"""The native and the reference face give the same indices; matchings cost what scipy's cost."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from pointcmt.ops import (
    ball_query,
    earth_movers_distance,
    emd_certificate,
    emd_matching,
    farthest_point_sample,
    knn,
    native,
    reference,
)


def clouds() -> dict[str, Tensor]:
    torch.manual_seed(5)
    lattice = torch.cartesian_prod(*[torch.arange(5.0)] * 3)[torch.randperm(125)]
    line = torch.rand(125, 1) * torch.tensor([1.0, 2.0, 3.0])
    pairs = torch.rand(25, 3).repeat(5, 1)
    made = {"random": torch.rand(125, 3), "lattice": lattice, "line": line, "duplicates": pairs}
    made["one place"] = torch.ones(125, 3)
    made["far away"] = torch.rand(125, 3) + 1000
    made["tiny"] = torch.rand(125, 3) * 1e-6
    return {name: cloud.repeat(2, 1, 1) for name, cloud in made.items()}


CLOUDS = clouds()


def test_the_native_library_was_built() -> None:
    assert native.available()


@pytest.mark.parametrize("name", CLOUDS)
def test_sampling_and_neighbours_agree_to_the_index(name: str) -> None:
    xyz = CLOUDS[name]
    chosen = reference.farthest_point_sample(xyz, 40)
    assert torch.equal(farthest_point_sample(xyz, 40), chosen)
    centers = xyz.gather(1, chosen[..., None].expand(-1, -1, 3))
    for radius in (1e-7, 0.3, 1.0, 5.0):
        expected = reference.ball_query(xyz, centers, radius, 9)
        assert torch.equal(ball_query(xyz, centers, radius, 9), expected)
    assert torch.equal(knn(centers, xyz, 11), reference.knn(centers, xyz, 11))


@pytest.mark.parametrize("name", CLOUDS)
def test_a_matching_is_a_bijection_of_least_cost_and_can_prove_it(name: str) -> None:
    x = CLOUDS[name]
    y = x.flip(1) * 0.7 + torch.rand(2, 125, 3, generator=torch.Generator().manual_seed(1))
    match = emd_matching(x, y)
    assert torch.equal(match.sort(1).values, torch.arange(125).expand(2, -1))
    for one, other, found in zip(x, y, match, strict=True):
        cost = cdist(one.double().numpy(), other.double().numpy())
        least = cost[linear_sum_assignment(cost)].sum()
        assert cost[np.arange(125), found.numpy()].sum() == pytest.approx(least, rel=1e-9)
    assert float(emd_certificate(x, y, match).gap.max()) < 1e-9


def test_the_distance_is_differentiable_on_both_sides_and_finite_where_points_meet() -> None:
    x = torch.rand(2, 17, 3, dtype=torch.float64, requires_grad=True)
    y = torch.rand(2, 17, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: earth_movers_distance(a, b), (x, y))
    same = x.detach().clone().requires_grad_()
    earth_movers_distance(same, x.detach()).sum().backward()
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()


def test_a_shifted_copy_costs_the_shift() -> None:
    x = torch.rand(3, 60, 3, dtype=torch.float64)
    shift = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    found = earth_movers_distance(x, x + shift, reduction="mean")
    torch.testing.assert_close(found, torch.full((3,), 5.0, dtype=torch.float64))
