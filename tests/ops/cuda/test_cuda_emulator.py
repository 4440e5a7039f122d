"""The emulator itself: what it must catch, planted in the kernels' sources."""

import pytest
import torch
from torch import Tensor

from pointcmt.ops import cuda
from tests.ops.cuda.clouds import cloud, farthest
from tests.ops.cuda.emulation import FORWARD, RANDOM, REVERSE, Emulator, KernelError, barriers

FAST_ROUNDS = ("emd.cu", "(1u << 24) - 1", "3")  # empties the bids' slots every three rounds


def exercise(file: str, generator: torch.Generator) -> None:
    """Run a kernel on clouds that reach all of its code."""
    x, y = cloud("random", 1, 300, generator), cloud("lattice", 1, 100, generator)
    features = torch.rand(1, 45, 70, generator=generator)
    if file == "farthest_point_sample.cu":
        cuda.farthest_point_sample(x, 20)
        cuda.farthest_point_sample(torch.cat([x] * 28, 1), 3)
    elif file == "knn.cu":
        cuda.knn(features, features, 40)
    else:
        cuda.emd_matching(x[:, :100], y)


@pytest.mark.parametrize("number", range(len(barriers())), ids=barriers())
def test_a_missing_barrier_is_caught(
    emulator: Emulator, generator: torch.Generator, number: int
) -> None:
    file = barriers()[number].split(":")[0]
    emulator.mutations = (FAST_ROUNDS,)
    emulator.skipped = number
    with pytest.raises(KernelError):
        exercise(file, generator)


@pytest.mark.parametrize("file", ["farthest_point_sample.cu", "knn.cu", "emd.cu"])
def test_nothing_is_caught_with_all_barriers(
    emulator: Emulator, generator: torch.Generator, file: str
) -> None:
    emulator.mutations = (FAST_ROUNDS,)
    emulator.skipped = len(barriers())
    exercise(file, generator)


def test_emptying_the_slots_changes_nothing(emulator: Emulator, generator: torch.Generator) -> None:
    x, y = cloud("random", 1, 100, generator), cloud("random", 1, 100, generator)
    expected = cuda.emd_matching(x, y)
    emulator.mutations = (FAST_ROUNDS,)
    assert torch.equal(cuda.emd_matching(x, y), expected)


def ball(x: Tensor) -> Tensor:
    return cuda.ball_query(x, x[:, :9] + 5, 0.3, 4)  # finds nothing near, so takes the nearest


def sample(x: Tensor) -> Tensor:
    return cuda.farthest_point_sample(x, 9)


PICKED = "chosen[step] = pick;\n    if (step == m - 1) return;\n    const float x"
BALL, FPS = "ball_query.cu", "farthest_point_sample.cu"
PLANTED = {  # what is wrong: the file, the text, what replaces it, and what the emulator says
    "reads past a cloud": (BALL, "i < n && squared", "i <= n && squared", "index"),
    "reads before a cloud": (BALL, "points, i * 3ll), i", "points, i * 3ll - 3), i", "index"),
    "writes past a row": (BALL, "slot < k; slot +=", "slot <= k; slot +=", "index"),
    "writes one element twice": (BALL, "out[slot] = first", "out[0] = first", "race"),
    "reads what nobody wrote": (BALL, "first;\n}", "first + out[k - 1];\n}", "nobody wrote"),
    "takes more than it was given": (BALL, "(queries, rows", "(queries, 1 + rows", "outside"),
    "leaves a lane out of a ballot": (
        BALL,
        "if (row >= rows) return;",
        "if (row >= rows || lane_of_thread() == 7) return;",
        "not all threads",
    ),
    "leaves a warp out of a barrier": (
        FPS,
        "key = warp_max(key);",
        "key = warp_max(key);\n  if (warp_of_thread() == 1) return key;",
        "not all threads",
    ),
    "writes another block's row": (
        FPS,
        PICKED,
        PICKED.replace("chosen", "Span<i64>(picks, m)"),
        "two blocks",
    ),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_error_is_caught(
    emulator: Emulator, generator: torch.Generator, plant: str
) -> None:
    file, text, replacement, message = PLANTED[plant]
    run = ball if file == BALL else sample
    x = cloud("random", 2, 200, generator)
    run(x)
    emulator.mutations = ((file, text, replacement),)
    with pytest.raises(KernelError, match=message):
        run(x)


def test_prices_that_stall_are_noticed(emulator: Emulator, generator: torch.Generator) -> None:
    emulator.mutations = (("matching.cuh", "second - best + eps", "0"),)
    emulator.switch_limit = 1_000_000
    with pytest.raises(KernelError, match="does not end"):
        cuda.emd_matching(cloud("random", 1, 40, generator), cloud("random", 1, 40, generator))


def test_some_order_of_threads_gives_a_wrong_result_without_a_barrier(
    emulator: Emulator, generator: torch.Generator
) -> None:
    emulator.races = False
    emulator.mutations = ((FPS, "__syncthreads();", ""),)
    x = cloud("random", 1, 1000, generator)

    def right(schedule: int) -> bool:
        emulator.schedule = schedule
        try:
            return torch.equal(cuda.farthest_point_sample(x, 40), farthest(x, 40))
        except KernelError:
            return False

    assert not all(right(schedule) for schedule in (FORWARD, REVERSE, RANDOM))
