"""Measuring a GPU: how long a call takes, and how long it would take at the least."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

CORES = {(7, 0): 64, (8, 0): 64}  # float32 units a multiprocessor; 128 on all others since 8.6


@dataclass(frozen=True)
class Device:
    """What bounds a kernel.

    Attributes:
        name: of the GPU.
        multiprocessors: how many it has.
        operations: float32 instructions a second of one multiprocessor.
        bandwidth: bytes a second between memory and chip, measured by a copy.
    """

    name: str
    multiprocessors: int
    operations: float
    bandwidth: float


def milliseconds(run: Callable[[], object], runs: int, device: torch.device) -> float:
    """The median time of a call on a device, after three that are not counted."""
    for _ in range(min(3, runs)):
        run()
    return statistics.median(_once(run, device) for _ in range(runs))


def _once(run: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1e3
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    torch.cuda.synchronize(device)
    return (time.perf_counter() - start) * 1e3


def describe(device: torch.device) -> Device:
    """The figures of a GPU."""
    properties = torch.cuda.get_device_properties(device)
    cores = CORES.get((properties.major, properties.minor), 128)
    block = torch.empty(2**28, dtype=torch.uint8, device=device)
    other = torch.empty_like(block)
    copy = milliseconds(lambda: other.copy_(block), 20, device)
    return Device(
        name=properties.name,
        multiprocessors=properties.multi_processor_count,
        operations=cores * properties.clock_rate * 1e3,  # the clock is in kHz
        bandwidth=2 * block.nbytes / copy * 1e3,
    )
