"""How tensors reach a kernel: checked, in float32 or float64, dense."""

import torch
from torch import Tensor

from pointcmt.ops import tensors

floating = tensors.floating


def finite(**arguments: Tensor) -> None:
    """Refuse NaN and infinity, where the caller does not and no CUDA graph is captured.

    Raises:
        ValueError: an argument holds a number that is not finite.
    """
    if tensors.left_to_the_caller():
        return
    if not torch.cuda.is_available() or not torch.cuda.is_current_stream_capturing():
        tensors.finite(**arguments)


def dense(tensor: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor in a dtype, contiguous and apart from autograd."""
    return tensor.detach().to(dtype).contiguous()
