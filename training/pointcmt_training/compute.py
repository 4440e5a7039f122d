"""How a step uses the machine: precision, recomputation, and copies that nobody waits for."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from pointcmt import ranks
from pointcmt_training.config import ComputeConfig

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def set_up(compute: ComputeConfig) -> None:
    """Set what holds for the whole process: TF32 and determinism."""
    torch.backends.cuda.matmul.allow_tf32 = compute.tf32
    torch.backends.cudnn.allow_tf32 = compute.tf32
    if compute.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by the first product
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(compute.deterministic)


def autocast(compute: ComputeConfig, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a step's forward pass runs."""
    if compute.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[compute.precision])


def scaler(compute: ComputeConfig, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps fp16's gradients from vanishing; it does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=compute.precision == "fp16")


def compiled(
    function: Callable[[Tensor], Tensor], compute: ComputeConfig
) -> Callable[[Tensor], Tensor]:
    """Compile a function of tensors where the recipe asks for it."""
    if not compute.compile:
        return function
    return torch.compile(function, mode="reduce-overhead" if compute.cuda_graphs else None)


def begin_step(compute: ComputeConfig) -> None:
    """Tell CUDA graphs that no result of the step before is wanted any more."""
    if compute.cuda_graphs:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


def carried(values: Tensor, device: torch.device) -> Tensor:
    """Copy from main memory to a device without waiting for the device."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def encoded(
    network: nn.Module,
    encode: Callable[[Tensor], Tensor],
    read: Callable[[Tensor], Tensor],
    indices: Tensor,
    parts: int,
) -> Tensor:
    """Encode the samples of a batch, all at once or one part after the other.

    With several parts only one part's activations are in memory: they are computed once more when
    the gradient comes by. The loss sees the features of the whole batch, so the update is that of
    the whole batch, but for batch norm, which normalises each part by its own moments.

    Args:
        network: what `encode` is a method of.
        encode: (b, ...) -> features (b, D).
        read: indices (b,) -> the encoder's input (b, ...).
        indices: (B,) int64.
        parts: how many.

    Returns:
        (B, D).
    """
    if parts == 1:
        return encode(read(indices))
    features, (rows, own) = [], ranks.sharing()
    start = own.start
    for part in indices.tensor_split(min(parts, len(indices))):
        here = slice(start, start + len(part))
        start = here.stop

        def run(inputs: Tensor, here: slice = here) -> Tensor:
            with ranks.as_share(rows, here):
                return encode(inputs)

        contexts = partial(_contexts, network)
        features.append(checkpoint(run, read(part), use_reentrant=False, context_fn=contexts))
    return torch.cat(features)


def recompute(blocks: Iterable[nn.Module]) -> None:
    """Let blocks forget their activations, which are computed once more for the gradient.

    Each block sees the whole batch, so the update is the same to the bit.

    Args:
        blocks: of one network, changed in place; each maps one tensor to another.
    """
    for block in blocks:
        block.forward = _recomputed(block, block.forward)


def _recomputed(
    block: nn.Module, forward: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(x)
        contexts = partial(_contexts, block)
        out: Tensor = checkpoint(forward, x, use_reentrant=False, context_fn=contexts)
        return out

    return run


def _contexts(
    network: nn.Module,
) -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    return nullcontext(), untracked(network)


@contextmanager
def untracked(network: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norm alone."""
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    before = [None if count is None else count.clone() for count in counts]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count, value in zip(norms, momenta, counts, before, strict=True):
            norm.momentum = momentum
            if count is not None and value is not None:
                count.copy_(value)
