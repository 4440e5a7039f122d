"""Random numbers by position: a hash of a key and a counter, the same on every device.

The mixer is a 32-bit multiply-xorshift hash of the family that Wellons' `hash-prospector` searched
("lowbias32"), with multipliers below 2^31, so that a product of 32 by 31 bits never leaves int64.
"""

import math
from functools import reduce

import torch
from torch import Tensor

MASK = 0xFFFFFFFF
FIRST, SECOND = 0x7FEB352D, 0x31848BAB
GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: keeps small neighbouring keys apart
TAU = 2 * math.pi


def integers(key: tuple[int, ...], ids: Tensor, rows: int, columns: int) -> Tensor:
    """Return integers in [0, 2^32) that depend on (key, id, row, column) alone.

    Args:
        key: non-negative integers, e.g. a seed, an epoch and a purpose.
        ids: (B,) integers, one a sample.
        rows: numbers a sample along the first axis.
        columns: numbers a sample along the second axis.

    Returns:
        (B, rows, columns) int64 on the device of `ids`.
    """
    start = reduce(_absorb_integer, key, 0)
    sample = _mix(_mix((ids.long() & MASK) ^ start) ^ ((ids.long() >> 32) & MASK))  # (B,)
    place = torch.arange(rows * columns, device=ids.device)  # (rows * columns,)
    mixed = _mix(sample[:, None] ^ _mix(place + 1))
    # A second round with the sum keeps two samples' streams from being permutations of another.
    return _mix((mixed + sample[:, None]) & MASK).view(len(ids), rows, columns)


def uniform(key: tuple[int, ...], ids: Tensor, rows: int, columns: int) -> Tensor:
    """Return numbers of U(0, 1), never 0 or 1, (B, rows, columns) float32; see `integers`."""
    high = integers(key, ids, rows, columns) >> 9  # 23 bits: the half step stays exact in float32
    return (high.to(torch.float32) + 0.5) * 2.0**-23


def normal(key: tuple[int, ...], ids: Tensor, rows: int, columns: int) -> Tensor:
    """Return numbers of N(0, 1), (B, rows, columns) float32, by Box and Muller; see `integers`."""
    radius = (-2 * uniform((*key, 0), ids, rows, columns).log()).sqrt()
    return radius * (TAU * uniform((*key, 1), ids, rows, columns)).cos()


def _mix(value: Tensor) -> Tensor:
    value = value ^ (value >> 16)
    value = (value * FIRST) & MASK
    value = value ^ (value >> 15)
    value = (value * SECOND) & MASK
    return value ^ (value >> 16)


def _absorb_integer(state: int, number: int) -> int:
    for word in (number & MASK, (number >> 32) & MASK):
        state = (state * GOLDEN + word + 1) & MASK
        state ^= state >> 16
        state = (state * FIRST) & MASK
        state ^= state >> 15
        state = (state * SECOND) & MASK
        state ^= state >> 16
    return state
