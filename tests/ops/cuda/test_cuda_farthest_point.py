"""Farthest point sampling: the CUDA source, emulated."""

import pytest
import torch

from pointcmt.ops import cuda
from tests.ops.cuda.clouds import KINDS, cloud, farthest
from tests.ops.cuda.emulation import FORWARD, RANDOM, REVERSE, Emulator


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", [FORWARD, REVERSE, RANDOM])
def test_picks_equal_the_definition_in_any_order_of_threads(
    emulator: Emulator, generator: torch.Generator, kind: str, schedule: int
) -> None:
    emulator.schedule = schedule
    xyz = cloud(kind, 3, 150, generator)
    assert torch.equal(cuda.farthest_point_sample(xyz, 60), farthest(xyz, 60))


@pytest.mark.parametrize("points", [1, 2, 31, 32, 33, 127, 129])
def test_every_point_is_picked_when_all_are_asked_for(
    emulator: Emulator, generator: torch.Generator, points: int
) -> None:
    xyz = cloud("random", 2, points, generator)
    chosen = cuda.farthest_point_sample(xyz, points)
    assert torch.equal(chosen, farthest(xyz, points))
    assert torch.equal(chosen.sort(1).values, torch.arange(points).expand(2, -1))


@pytest.mark.parametrize(("points", "held"), [(4096, 4), (4097, 8), (8192, 8), (8193, 0)])
def test_large_clouds_change_where_distances_are_kept(
    emulator: Emulator, generator: torch.Generator, points: int, held: int
) -> None:
    xyz = cloud("lattice", 1, points, generator)
    table_free = torch.zeros(1, 4, dtype=torch.int64)
    distance = torch.full((points,), torch.inf)
    for step in range(3):
        difference = xyz[0] - xyz[0, table_free[0, step]]
        squares = difference * difference
        distance = torch.minimum(distance, squares[:, 0] + squares[:, 1] + squares[:, 2])
        table_free[0, step + 1] = distance.argmax()
    assert torch.equal(cuda.farthest_point_sample(xyz, 4), table_free)
    assert emulator.launches[-1].defines == (("POINTS_PER_THREAD", held),)


def test_newer_gpus_reduce_by_other_instructions(
    emulator: Emulator, generator: torch.Generator
) -> None:
    emulator.architecture = 800
    xyz = cloud("lattice", 2, 150, generator)
    assert torch.equal(cuda.farthest_point_sample(xyz, 60), farthest(xyz, 60))


def test_layout_and_precision_of_the_input_do_not_matter(
    emulator: Emulator, generator: torch.Generator
) -> None:
    xyz = cloud("lattice", 2, 60, generator)  # quarters are exact in half precision
    expected = farthest(xyz, 20)
    strided = xyz.transpose(1, 2).contiguous().transpose(1, 2)
    for same in (strided, xyz.half(), xyz.bfloat16(), xyz.double(), xyz.requires_grad_()):
        assert torch.equal(cuda.farthest_point_sample(same, 20), expected)


def test_an_empty_batch_gives_an_empty_result(emulator: Emulator) -> None:
    assert cuda.farthest_point_sample(torch.zeros(0, 5, 3), 2).shape == (0, 2)
    assert not emulator.launches
