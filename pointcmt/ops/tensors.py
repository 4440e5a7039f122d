"""How tensors enter an op: which are refused, and in what precision the rest are computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_BY_THE_CALLER: ContextVar[bool] = ContextVar("finite", default=False)


def same_device(**tensors: Tensor) -> None:
    """Refuse what is not a tensor, and tensors that lie on two devices.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: two arguments lie on different devices.
    """
    first = None
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a torch tensor, not {type(tensor).__name__}")
        if first is not None and tensor.device != tensors[first].device:
            raise ValueError(
                f"{first} and {name} must lie on one device, "
                f"not on {tensors[first].device} and {tensor.device}"
            )
        first = first or name


def floating(**tensors: Tensor) -> None:
    """Refuse dtypes that are not floating.

    Raises:
        TypeError: an argument holds integers, booleans or complex numbers.
    """
    same_device(**tensors)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must hold floating-point numbers, not {tensor.dtype}")


@contextmanager
def finite_by_the_caller() -> Iterator[None]:
    """Let ops on a GPU take numbers as finite, since to check is to wait for the GPU.

    What is not finite gives indices that mean nothing; the caller finds it in the loss.
    """
    token = _BY_THE_CALLER.set(True)
    try:
        yield
    finally:
        _BY_THE_CALLER.reset(token)


def left_to_the_caller() -> bool:
    """Tell whether this is inside `finite_by_the_caller`."""
    return _BY_THE_CALLER.get()


def finite(**tensors: Tensor) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: an argument holds a number that is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.numel() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} must be finite, but holds NaN or infinity")
