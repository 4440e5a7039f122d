"""Batch norm and dropout over a batch of which each rank has a share."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pointcmt import ranks

REPLACED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class GlobalBatchNorm(_BatchNorm):
    """Batch norm with the moments of all ranks' rows: what one process would compute.

    `torch.nn.SyncBatchNorm` does the same on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...) by the batch of all ranks; in evaluation by the running moments."""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.dim())]
        sums = torch.stack([z.sum(axes, dtype=torch.float64) for z in (x, x * x)])  # (2, C)
        count = ranks.summed(x.new_tensor(x.numel() / x.shape[1], dtype=torch.float64))
        mean, square = ranks.summed_with_gradient(sums) / count  # (C,) each
        var = (square - mean * mean).clamp_min(0)
        self._track(mean.detach(), var.detach() * count / (count - 1).clamp_min(1))
        scale = (var + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = (self.bias if self.affine else 0) - mean * scale
        shape = (1, -1, *[1] * (x.dim() - 2))
        return torch.addcmul(shift.to(x.dtype).view(shape), x, scale.to(x.dtype).view(shape))

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor) -> None:
        """Move the running moments as `torch.nn.BatchNorm1d` does."""
        if not self.track_running_stats:
            return
        tracked = self.get_buffer("num_batches_tracked").add_(1)
        part = 1 / tracked if self.momentum is None else self.momentum
        for name, value in (("running_mean", mean), ("running_var", var)):
            buffer = self.get_buffer(name)
            buffer.lerp_(value.to(buffer.dtype), part)

    def _check_input_dim(self, x: Tensor) -> None:
        """Take any number of axes."""


class GlobalDropout(nn.Dropout):
    """Dropout that draws the mask of the whole batch on every rank and applies this rank's share.

    The ranks' generators so stay in step with each other and with that of one process.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of a share (b, ...), inside `ranks.shared`, or of a whole batch."""
        rows, own = ranks.sharing()
        if not self.training or not rows:
            return super().forward(x)
        times = len(x) // (own.stop - own.start)  # rows of x for each row of the batch
        mask = super().forward(x.new_ones(rows * times, *x.shape[1:]))
        return x * mask[own.start * times : own.stop * times]


def over_global_batch(module: nn.Module, norms: bool = True) -> None:
    """Give the children of a module that look at the whole batch their global counterparts.

    Parameters, buffers and their names stay. On a GPU batch norm becomes torch's own SyncBatchNorm.

    Args:
        module: of which dropout and, with `norms`, batch norm are replaced.
        norms: whether batch norm is.
    """
    for name, child in module.named_children():
        over_global_batch(child, norms)
        if type(child) is nn.Dropout:
            setattr(module, name, GlobalDropout(child.p).train(child.training))
        elif norms and isinstance(child, _BatchNorm) and type(child) in REPLACED:
            setattr(module, name, _global_norm(child))


def _global_norm(norm: _BatchNorm) -> _BatchNorm:
    own = norm.weight is not None and norm.weight.is_cuda
    kind = nn.SyncBatchNorm if own else GlobalBatchNorm
    made = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made._parameters.update(norm._parameters)
    made._buffers.update(norm._buffers)
    return made.train(norm.training)
