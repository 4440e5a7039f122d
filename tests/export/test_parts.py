"""A part segmenter's deployable network beside the segmenter."""

import pytest
import torch

from pointcmt.models import SEGMENTERS
from pointcmt_export.convert.networks import deployable, has_own_network
from tests.models.test_segmenters import small, told


@pytest.mark.parametrize("name", sorted(SEGMENTERS))
@pytest.mark.parametrize("own", [3, 6])
@torch.no_grad()
def test_the_deployable_network_computes_what_the_segmenter_does(name: str, own: int) -> None:
    segmenter, points = small(name, own), told(3, own=own)
    assert has_own_network(segmenter)
    logits = deployable(segmenter)(points)
    torch.testing.assert_close(logits, segmenter(points), rtol=1e-4, atol=1e-4)
