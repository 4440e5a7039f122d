import pytest
import torch
from torch import Tensor

from pointcmt.ops import earth_movers_distance, emd_certificate, emd_matching, reference
from tests.reference import clouds


def pair(n: int = 30, kind: str = "uniform") -> tuple[Tensor, Tensor]:
    x, y = (torch.from_numpy(clouds.batch(kind, seed, 3, n)).double() for seed in (1, 2))
    return x, y


def rotation(seed: int) -> Tensor:
    random = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    orthogonal: Tensor = torch.linalg.qr(random).Q
    return orthogonal


def test_it_is_the_least_total_distance() -> None:
    x, y = pair()
    matched = y.gather(1, reference.emd_matching(x, y)[..., None].expand(-1, -1, 3))
    expected = (x - matched).norm(dim=-1).sum(1)
    torch.testing.assert_close(earth_movers_distance(x, y), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(earth_movers_distance(x, y, "mean"), expected / 30)


def test_it_is_symmetric() -> None:
    x, y = pair()
    torch.testing.assert_close(earth_movers_distance(x, y), earth_movers_distance(y, x))


def test_the_order_of_points_does_not_matter() -> None:
    x, y = pair()
    shuffled = x[:, torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(earth_movers_distance(shuffled, y), earth_movers_distance(x, y))


def test_a_rigid_motion_changes_nothing() -> None:
    x, y = pair()
    place = torch.tensor([3.0, -1.0, 2.0])
    moved = earth_movers_distance(x @ rotation(0) + place, y @ rotation(0) + place)
    torch.testing.assert_close(moved, earth_movers_distance(x, y))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_it_scales_with_the_clouds(scale: float) -> None:
    x, y = pair()
    expected = scale * earth_movers_distance(x, y)
    torch.testing.assert_close(earth_movers_distance(scale * x, scale * y), expected)


def test_a_shifted_copy_costs_the_shift_for_every_point() -> None:
    x, _ = pair()
    shift = torch.tensor([0.3, 0.4, 1.2], dtype=torch.float64)
    expected = torch.full((3,), 30 * 1.3, dtype=torch.float64)
    torch.testing.assert_close(earth_movers_distance(x, x + shift), expected)


def test_the_triangle_inequality_holds() -> None:
    x, y = pair()
    z = torch.from_numpy(clouds.batch("clustered", 3, 3, 30)).double()
    direct, first, second = (earth_movers_distance(*two) for two in ((x, y), (x, z), (z, y)))
    assert (direct <= first + second + 1e-9).all()


def test_it_is_at_least_the_sum_of_distances_to_the_nearest() -> None:
    x, y = pair()
    chamfer = reference.distances(x, y).amin(2).sum(1)
    assert (earth_movers_distance(x, y) >= chamfer - 1e-9).all()


def test_equal_clouds_are_at_distance_zero() -> None:
    x, _ = pair(kind="lattice")
    assert earth_movers_distance(x, x.flip(1)).tolist() == [0.0, 0.0, 0.0]


def test_gradients_reach_both_clouds() -> None:
    x, y = pair(8)
    inputs = (x.requires_grad_(), y.requires_grad_())
    assert torch.autograd.gradcheck(earth_movers_distance, inputs)
    assert torch.autograd.gradcheck(lambda a, b: earth_movers_distance(a, b, "mean"), inputs)


def test_gradients_are_zero_where_points_coincide() -> None:
    x, _ = pair()
    y = x.clone()
    y[:, 0] += 0.1
    x.requires_grad_()
    earth_movers_distance(x, y).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert torch.count_nonzero(x.grad[:, 1:]) == 0
    torch.testing.assert_close(x.grad[:, 0].norm(dim=-1), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float32])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    x, y = (cloud.to(dtype).requires_grad_() for cloud in pair(200))
    distance = earth_movers_distance(x, y)
    assert distance.dtype == torch.float32
    torch.testing.assert_close(distance, earth_movers_distance(x.float(), y.float()))
    distance.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype


def test_two_dtypes_are_computed_in_the_wider() -> None:
    x, y = pair()
    assert earth_movers_distance(x.half(), y).dtype == torch.float64


def test_empty_clouds_are_at_distance_zero() -> None:
    x, y = pair()
    for reduction in ("sum", "mean"):
        assert earth_movers_distance(x[:, :0], y[:, :0], reduction).tolist() == [0, 0, 0]
    assert earth_movers_distance(x[:0], y[:0]).shape == (0,)


def test_the_certificate_proves_the_matching_optimal() -> None:
    x, y = pair(50)
    certificate = emd_certificate(x, y, emd_matching(x, y))
    torch.testing.assert_close(certificate.cost, earth_movers_distance(x, y))
    assert certificate.gap.max() < 1e-12


def test_five_thousand_points_are_matched_optimally() -> None:
    x, y = torch.rand(2, 1, 5_000, 3, generator=torch.Generator().manual_seed(0))
    certificate = emd_certificate(x, y, emd_matching(x, y))
    assert float(certificate.gap) < 1e-12
    torch.testing.assert_close(certificate.bound, certificate.cost)  # and not above it


def test_the_certificate_shows_how_far_a_worse_matching_is() -> None:
    x, y = pair(50)
    worse = torch.arange(50).expand(3, -1)
    certificate = emd_certificate(x, y, worse)
    least = earth_movers_distance(x, y)
    torch.testing.assert_close(certificate.bound, least)
    torch.testing.assert_close(certificate.gap, certificate.cost / least - 1)
    assert (certificate.gap > 0.1).all()


def test_the_certificate_of_clouds_that_coincide_has_no_gap() -> None:
    x, _ = pair()
    assert emd_certificate(x, x, torch.arange(30).expand(3, -1)).gap.tolist() == [0, 0, 0]


def test_the_certificate_refuses_what_is_not_a_bijection() -> None:
    x, y = pair()
    for matching in (torch.zeros(3, 30, dtype=torch.int64), torch.arange(29).expand(3, -1)):
        with pytest.raises(ValueError, match="matching must be a bijection"):
            emd_certificate(x, y, matching)


@pytest.mark.parametrize("kind", ["uniform", "lattice", "collapsed"])
def test_the_reference_prices_prove_the_same_bound(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pair(40, kind)
    matching = emd_matching(x, y)
    native_bound = emd_certificate(x, y, matching).bound
    monkeypatch.setattr("pointcmt.ops.native.available", lambda: False)
    torch.testing.assert_close(emd_certificate(x, y, matching).bound, native_bound)


def test_the_number_of_threads_does_not_matter() -> None:
    x, y = pair(100)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(emd_matching(x, y))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
