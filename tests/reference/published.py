"""What the published networks are made of, in plain tensor operations on state dicts.

Everything works on float64 tensors, channels last, and takes its weights by key from a state
dict in the layout of the public repository.
"""

import torch
from torch import Tensor

State = dict[str, Tensor]


class Layout:
    """Fills a state dict with random weights and random batch-norm statistics, key by key."""

    def __init__(self, seed: int = 0) -> None:
        self.state: State = {}
        self._random = torch.Generator().manual_seed(seed)

    def linear(self, key: str, c_in: int, c_out: int, *, dims: int = 0, bias: bool) -> None:
        weight = torch.randn(c_out, c_in, generator=self._random) / c_in**0.5
        self.state[f"{key}.weight"] = weight.view(c_out, c_in, *[1] * dims)
        if bias:
            self.state[f"{key}.bias"] = torch.randn(c_out, generator=self._random)

    def norm(self, key: str, channels: int, *, counter: bool = True) -> None:
        """Weights of both signs, so that a maximum taken on the wrong side of the norm shows."""
        self.state[f"{key}.weight"] = torch.randn(channels, generator=self._random)
        self.state[f"{key}.bias"] = torch.randn(channels, generator=self._random) / 2
        self.state[f"{key}.running_mean"] = torch.randn(channels, generator=self._random) / 2
        variance = 0.5 + torch.rand(channels, generator=self._random)
        self.state[f"{key}.running_var"] = variance
        if counter:
            self.state[f"{key}.num_batches_tracked"] = torch.tensor(7)

    def vector(self, key: str, *shape: int) -> None:
        self.state[key] = torch.randn(shape, generator=self._random)


def linear(state: State, key: str, x: Tensor) -> Tensor:
    """Apply a linear map or 1x1 convolution to (..., C_in)."""
    weight = state[f"{key}.weight"].double().flatten(1)
    y = x @ weight.T
    return y + state[f"{key}.bias"].double() if f"{key}.bias" in state else y


def norm(state: State, key: str, x: Tensor) -> Tensor:
    """Apply batch norm in evaluation mode to (..., C)."""
    w, b, mean, var = (
        state[f"{key}.{part}"].double()
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = w / torch.sqrt(var + 1e-5)
    return torch.addcmul(b - mean * scale, x, scale)


def relu(x: Tensor) -> Tensor:
    return x.clamp_min(0)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Rows `index` (B, ...) of values (B, N, C): (B, ..., C)."""
    return torch.stack([v[i] for v, i in zip(values, index, strict=True)])


def farthest(xyz: Tensor, count: int) -> Tensor:
    """Farthest point sampling from point 0: (B, N, 3) -> (B, count)."""
    rows = []
    for cloud in xyz:
        chosen = [0]
        nearest = ((cloud - cloud[0]) ** 2).sum(1)
        while len(chosen) < count:
            chosen.append(int(nearest.argmax()))
            nearest = torch.minimum(nearest, ((cloud - cloud[chosen[-1]]) ** 2).sum(1))
        rows.append(torch.tensor(chosen))
    return torch.stack(rows)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(B, M, C) and (B, N, C) -> (B, M, N)."""
    return ((a[:, :, None] - b[:, None]) ** 2).sum(3)


def ball(xyz: Tensor, centres: Tensor, radius: float, k: int) -> Tensor:
    """First k points nearer than the radius, in index order, the first one as filler."""
    count = xyz.shape[1]
    inside = squared_distances(centres, xyz) < radius**2
    order = torch.where(inside, torch.arange(count), count).sort(dim=2).values[..., :k]
    return torch.where(order == count, order[..., :1], order)


def nearest(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Indices of the k nearest points: (B, M, C), (B, N, C) -> (B, M, k)."""
    return squared_distances(query, points).topk(k, dim=2, largest=False).indices
