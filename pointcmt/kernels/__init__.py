"""The ops' CUDA kernels: sources, their compiler, and launches by address; needs no torch.

`pointcmt.ops.cuda` launches them on torch's tensors, `pointcmt_serve` on an engine's buffers.
"""

from pointcmt.kernels import driver, nvrtc

__all__ = ["available"]


def available() -> bool:
    """Whether what compiles and launches kernels is installed; a GPU is another question."""
    return nvrtc.available() and driver.available()
