"""The native backend: the compiled library on tensors in main memory; dense ones are not copied."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from pointcmt import native
from pointcmt.ops import tensors


def available() -> bool:
    """Whether the compiled library is here."""
    return native.available()


def farthest_point_sample(xyz: Tensor, m: int) -> Tensor:
    """Choose m points, each the farthest from those chosen before; see `pointcmt.ops`."""
    tensors.floating(xyz=xyz)
    return _tensor(native.farthest_point_sample(_array(xyz), m, torch.get_num_threads()))


def ball_query(xyz: Tensor, centers: Tensor, radius: float, k: int) -> Tensor:
    """Find the first k points within a radius of each centre; see `pointcmt.ops`."""
    tensors.floating(xyz=xyz, centers=centers)
    threads = torch.get_num_threads()
    return _tensor(native.ball_query(_array(xyz), _array(centers), radius, k, threads))


def knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Find the k nearest points of each query, nearest first; see `pointcmt.ops`."""
    tensors.floating(query=query, points=points)
    return _tensor(native.knn(_array(query), _array(points), k, torch.get_num_threads()))


def emd_matching(x: Tensor, y: Tensor) -> Tensor:
    """Find the optimal bijection from x to y; see `pointcmt.ops`."""
    tensors.floating(x=x, y=y)
    return _tensor(native.emd_matching(_array(x), _array(y), torch.get_num_threads()))


def emd_prices(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The optimal bijection and prices (B, N) float64 that prove it; see `emd_certificate`."""
    tensors.floating(x=x, y=y)
    matching, prices = native.emd_prices(_array(x), _array(y), torch.get_num_threads())
    return _tensor(matching), _tensor(prices)


def _array(tensor: Tensor) -> NDArray[Any]:
    wide = tensor.dtype in (torch.float32, torch.float64)
    return (tensor if wide else tensor.float()).detach().numpy()


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array)
