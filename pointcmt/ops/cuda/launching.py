"""Launching kernels on torch's tensors."""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from pointcmt.kernels import driver
from pointcmt.kernels.calls import Call, Launch, Scalar


def run(call: Call, reads: Sequence[Tensor], result: Tensor) -> None:
    """Launch an op with the workspace it asks for; see `launch`."""
    writes = [result]
    if call.workspace is not None:
        writes.append(torch.empty(call.workspace, dtype=torch.uint8, device=result.device))
    launch(call.how, reads, writes, call.scalars)


def launch(
    how: Launch, reads: Sequence[Tensor], writes: Sequence[Tensor], scalars: Sequence[Scalar]
) -> None:
    """Start a kernel on torch's current stream and return without waiting for it.

    Args:
        how: the kernel and its launch configuration.
        reads: contiguous tensors of one GPU, the kernel's first arguments.
        writes: contiguous tensors of that GPU, its next arguments.
        scalars: its last arguments.

    Raises:
        RuntimeError: the kernel cannot be compiled, loaded or launched.
    """
    device = (writes or reads)[0].device
    stream = torch.cuda.current_stream(device).cuda_stream
    arrays = [tensor.data_ptr() for tensor in (*reads, *writes)]
    driver.launch(how, device.index, stream, arrays, scalars)


@functools.cache
def shared_limit(device: torch.device) -> int:
    """The most bytes of shared memory a block may ask for."""
    return driver.shared_limit(device.index)
