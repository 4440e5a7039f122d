"""The real thing: skipped where torch sees no GPU."""

import numpy as np
import pytest
import torch

from pointcmt.kernels import calls
from pointcmt.ops import cuda
from pointcmt.ops.cuda import launching
from tests.ops.cuda.clouds import KINDS, cloud, cost, farthest, gathered, nearest, optimum, within

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here: the emulator's tests stand in"
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("points", [1, 33, 1000])
def test_indices_equal_the_definitions(generator: torch.Generator, kind: str, points: int) -> None:
    xyz = cloud(kind, 3, points, generator)
    centers, here = xyz[:, ::3], xyz.cuda()
    m, k = min(points, 300), min(points, 20)
    sampled = cuda.farthest_point_sample(here, m).cpu()
    assert torch.equal(sampled, farthest(xyz, m))
    found = cuda.ball_query(here, centers.cuda(), 0.2, 32).cpu()
    assert torch.equal(found, within(xyz, centers, 0.2, 32))
    assert torch.equal(cuda.knn(centers.cuda(), here, k).cpu(), nearest(centers, xyz, k))


@pytest.mark.parametrize("channels", [3, 64, 100])
@pytest.mark.parametrize("k", [1, 40, 200, 1281])
def test_neighbours_among_features(generator: torch.Generator, channels: int, k: int) -> None:
    points = (torch.rand(2, 1300, channels, generator=generator) * 4).round()
    query = points[:, :50]
    assert torch.equal(cuda.knn(query.cuda(), points.cuda(), k).cpu(), nearest(query, points, k))


@pytest.mark.parametrize("points", [4097, 9000])
def test_large_clouds_are_sampled(generator: torch.Generator, points: int) -> None:
    xyz = cloud("lattice", 1, points, generator)
    assert torch.equal(cuda.farthest_point_sample(xyz.cuda(), 50).cpu(), farthest(xyz, 50))


@pytest.mark.parametrize("m", [None, 90])
def test_coordinates_are_gathered(generator: torch.Generator, m: int | None) -> None:
    cloud = torch.rand(3, 50, 6, generator=generator)
    index = None if m is None else torch.randint(50, (3, m), generator=generator)
    reads = [cloud.cuda()] if index is None else [cloud.cuda(), index.cuda()]
    xyz = torch.empty(3, m or 50, 3, device="cuda")
    launching.run(calls.gather_points(3, 50, 6, m), reads, xyz)
    assert torch.equal(xyz.cpu(), gathered(cloud, index))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("points", [1, 31, 1024, 2049, 8192])
def test_the_proof_of_a_matching_holds(
    generator: torch.Generator, kind: str, dtype: torch.dtype, points: int
) -> None:
    batch = 1 if points > 1024 else 4
    x = cloud(kind, batch, points, generator).to(dtype)
    y = cloud("random", batch, points, generator).to(dtype)
    made = cuda.certified_matching(x.cuda(), y.cuda())
    matching = made.matching.cpu()
    assert torch.equal(matching.sort(1).values, torch.arange(points).expand(batch, -1))
    np.testing.assert_allclose(made.cost.cpu().numpy(), cost(x, y, matching), rtol=1e-10)
    assert (made.gap <= 1e-3).all()
    if points <= 1024:
        assert (made.bound.cpu().numpy() <= optimum(x, y) * (1 + 1e-12)).all()


def test_a_matching_is_the_same_each_time(generator: torch.Generator) -> None:
    x = cloud("random", 64, 1000, generator).cuda()
    y = cloud("lattice", 64, 1000, generator).cuda()
    first = cuda.emd_matching(x, y)
    for _ in range(5):
        assert torch.equal(cuda.emd_matching(x, y), first)


def test_kernels_run_on_the_current_stream_and_in_a_graph(generator: torch.Generator) -> None:
    xyz = cloud("random", 8, 1024, generator).cuda()
    expected = cuda.farthest_point_sample(xyz, 128)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        assert torch.equal(cuda.farthest_point_sample(xyz, 128), expected)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = cuda.farthest_point_sample(xyz, 128)
    captured.zero_()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, expected)
