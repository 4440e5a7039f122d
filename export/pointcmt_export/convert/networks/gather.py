"""Rows of channels: the layout (R, C) in which the deployable networks compute."""

import torch
from torch import Tensor


def gather_rows(values: Tensor, index: Tensor) -> Tensor:
    """Pick rows of each cloud, flat: a gather of whole rows is one copy a row on every engine.

    Args:
        values: (B, N, C).
        index: (B, ...) int64 in [0, N).

    Returns:
        (B * ..., C), in the order of `index`.
    """
    batch, points, channels = values.shape
    offset = torch.arange(batch, device=index.device) * points  # (B,)
    flat = (index.flatten(1) + offset[:, None]).flatten()  # (B * ...,)
    return values.reshape(-1, channels).index_select(0, flat)
