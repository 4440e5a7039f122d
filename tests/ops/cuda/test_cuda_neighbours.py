"""Ball query and k nearest neighbours: the CUDA sources, emulated."""

import pytest
import torch

from pointcmt.ops import cuda
from tests.ops.cuda.clouds import KINDS, cloud, nearest, within
from tests.ops.cuda.emulation import FORWARD, RANDOM, REVERSE, Emulator


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", [FORWARD, REVERSE, RANDOM])
def test_neighbours_equal_the_definition_in_any_order_of_threads(
    emulator: Emulator, generator: torch.Generator, kind: str, schedule: int
) -> None:
    emulator.schedule = schedule
    xyz = cloud(kind, 2, 100, generator)
    centers = xyz[:, 5:42]
    assert torch.equal(cuda.ball_query(xyz, centers, 0.3, 9), within(xyz, centers, 0.3, 9))
    assert torch.equal(cuda.knn(centers, xyz, 7), nearest(centers, xyz, 7))


@pytest.mark.parametrize("radius", [0.0, 0.25, 1e-20, 10.0, 1e30])
@pytest.mark.parametrize("k", [1, 31, 33, 200])
def test_ball_query_pads_what_it_does_not_find(
    emulator: Emulator, generator: torch.Generator, radius: float, k: int
) -> None:
    xyz = cloud("lattice", 2, 65, generator)  # 0.25 lies on the boundary of many
    centers = torch.cat([xyz[:, ::9], torch.full((2, 2, 3), 7.0)], 1)
    assert torch.equal(cuda.ball_query(xyz, centers, radius, k), within(xyz, centers, radius, k))


@pytest.mark.parametrize("points", [1, 31, 32, 33, 97])
@pytest.mark.parametrize("queries", [1, 4, 33])
def test_any_number_of_points_and_queries(
    emulator: Emulator, generator: torch.Generator, points: int, queries: int
) -> None:
    xyz, asked = cloud("random", 2, points, generator), cloud("random", 2, queries, generator)
    assert torch.equal(cuda.ball_query(xyz, asked, 0.4, 5), within(xyz, asked, 0.4, 5))
    for k in {1, points}:
        assert torch.equal(cuda.knn(asked, xyz, k), nearest(asked, xyz, k))


@pytest.mark.parametrize("channels", [1, 2, 31, 32, 33, 100])
def test_features_of_any_width(
    emulator: Emulator, generator: torch.Generator, channels: int
) -> None:
    points = (torch.rand(2, 45, channels, generator=generator) * 3).round()
    query = points[:, :10]
    assert torch.equal(cuda.knn(query, points, 40), nearest(query, points, 40))


@pytest.mark.parametrize(("k", "place"), [(32, 0), (33, 1), (200, 1), (1281, 2)])
def test_long_lists_take_shared_or_global_memory(
    emulator: Emulator, generator: torch.Generator, k: int, place: int
) -> None:
    points = cloud("lattice", 1, 1300 if k > 1000 else 300, generator)
    query = points[:, :5] if k < 1000 else points[:, :1]
    assert torch.equal(cuda.knn(query, points, k), nearest(query, points, k))
    assert emulator.launches[-1].defines == (("LISTS", place),)


def test_newer_gpus_reduce_by_other_instructions(
    emulator: Emulator, generator: torch.Generator
) -> None:
    emulator.architecture = 800
    xyz = cloud("lattice", 2, 65, generator)
    far = xyz + 9
    assert torch.equal(cuda.ball_query(xyz, far, 0.1, 3), within(xyz, far, 0.1, 3))


def test_empty_batches_and_queries_give_empty_results(emulator: Emulator) -> None:
    assert cuda.ball_query(torch.zeros(0, 5, 3), torch.zeros(0, 2, 3), 1.0, 4).shape == (0, 2, 4)
    assert cuda.knn(torch.zeros(2, 0, 3), torch.zeros(2, 5, 3), 4).shape == (2, 0, 4)
    assert not emulator.launches
