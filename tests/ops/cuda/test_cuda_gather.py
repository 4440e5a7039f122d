"""The coordinates of chosen points: the CUDA source, emulated."""

import pytest
import torch

from pointcmt.kernels import calls
from tests.ops.cuda.clouds import gathered
from tests.ops.cuda.emulation import Emulator


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("m", [None, 1, 90])
def test_rows_of_three_are_those_of_the_points(
    emulator: Emulator, generator: torch.Generator, channels: int, m: int | None
) -> None:
    cloud = torch.rand(3, 50, channels, generator=generator)
    index = None if m is None else torch.randint(50, (3, m), generator=generator)
    call = calls.gather_points(3, 50, channels, m)
    xyz = torch.full((3, m or 50, 3), torch.nan)
    reads = [cloud] if index is None else [cloud, index]
    emulator.launch(call.how, reads, [xyz], call.scalars)
    assert torch.equal(xyz, gathered(cloud, index))
