"""How each op is launched: kernel, grid, numbers and workspace, all from the shapes."""

import ctypes
from ctypes import c_float, c_int, c_longlong
from dataclasses import dataclass
from pathlib import Path

from pointcmt.kernels.nvrtc import KERNELS, Defines

Scalar = ctypes.c_int | ctypes.c_longlong | ctypes.c_float

_KEY = 8  # bytes of what is compared: a distance and an index
_MOST_THREADS = 1024
_SAMPLING = 2 * 32 * _KEY  # bytes shared in sampling: two halves of one key a warp
_WARPS = 8
_QUERIES = 4  # of a warp, in knn.cu
_TILE = 32 * 33 * 4  # bytes: 32 channels of 32 points, padded
_ROW = 32 * 4  # bytes: 32 channels of one query
_COPIES = 256  # numbers a block
_REGISTERS, _SHARED, _GLOBAL = range(3)  # where the lists of knn.cu lie
_HELD = 32  # keys of a list in registers
_LISTS = 40 * 1024  # bytes of lists a block; with the tile they fit the 48 KiB that every GPU has


@dataclass(frozen=True)
class Launch:
    """Which kernel runs, how it is compiled and on how many threads.

    Attributes:
        kernel: the function's name.
        defines: what it is compiled with.
        blocks: in the grid, at least 1.
        threads: in a block, a multiple of 32.
        shared_bytes: of dynamic shared memory a block.
        source: the file that holds the function, the one of its name in `KERNELS` unless said.
    """

    kernel: str
    defines: Defines
    blocks: int
    threads: int
    shared_bytes: int = 0
    source: Path | None = None

    @property
    def file(self) -> Path:
        """The file that holds the function."""
        return self.source or KERNELS / f"{self.kernel}.cu"


@dataclass(frozen=True)
class Call:
    """A launch and its arguments beside the arrays it reads and the result.

    Attributes:
        how: the launch.
        scalars: the kernel's last arguments.
        workspace: the bytes of the array that the kernel takes between its result and these; None
            where it takes none.
    """

    how: Launch
    scalars: tuple[Scalar, ...]
    workspace: int | None = None


def farthest_point_sample(batch: int, points: int, m: int) -> Call:
    """From xyz (B, N, 3) to (B, m) int64: one block a cloud.

    Up to 8 points a thread lie in registers, beyond that their distances in global memory.
    """
    held = next((held for held in (4, 8) if points <= held * _MOST_THREADS), 0)
    threads = whole_warps(-(-points // held)) if held else _MOST_THREADS
    defines = (("POINTS_PER_THREAD", held),)
    how = Launch("farthest_point_sample", defines, batch, threads, _SAMPLING)
    return Call(how, (c_int(points), c_int(m)), None if held else 4 * batch * points)


def ball_query(batch: int, points: int, queries: int, radius: float, k: int) -> Call:
    """From xyz (B, N, 3) and centres (B, M, 3) to (B, M, k) int64: one warp a centre."""
    rows = batch * queries
    rounded = c_float(radius).value
    how = Launch("ball_query", (), -(-rows // _WARPS), _WARPS * 32)
    sizes = (c_longlong(rows), c_int(points), c_int(queries), c_int(k))
    return Call(how, (*sizes, c_float(rounded * rounded)))


def knn(batch: int, points: int, queries: int, channels: int, k: int) -> Call:
    """From queries (B, M, C) and points (B, N, C) to (B, M, k) int64.

    Lists of up to 32 lie in registers. Of longer ones, a block has as many warps of 4 queries as
    have room for theirs in shared memory, at most 8; where a single warp's have no room they lie in
    global memory.
    """
    lists = _QUERIES * k * _KEY  # bytes a warp
    place = _REGISTERS if k <= _HELD else _SHARED if lists <= _LISTS else _GLOBAL
    warps = min(_WARPS, _LISTS // lists) if place == _SHARED else _WARPS
    blocks = batch * -(-queries // (warps * _QUERIES))
    size = warps * _QUERIES * _ROW + _TILE + (warps * lists if place == _SHARED else 0)
    how = Launch("knn", (("LISTS", place),), blocks, warps * 32, size)
    sizes = (c_int(points), c_int(queries), c_int(channels), c_int(k))
    return Call(how, sizes, blocks * warps * lists if place == _GLOBAL else 0)


def gather_points(batch: int, points: int, channels: int, m: int | None = None) -> Call:
    """From clouds (B, N, C), and indices (B, m) where m is given, to xyz (B, m or N, 3)."""
    queries = points if m is None else m
    rows = batch * queries
    defines = (("INDEXED", int(m is not None)),)
    how = Launch("gather_points", defines, -(-3 * rows // _COPIES), _COPIES)
    return Call(how, (c_longlong(rows), c_int(points), c_int(queries), c_int(channels)))


def whole_warps(threads: int) -> int:
    """The number of threads, rounded up to warps of 32."""
    return max(1, -(-threads // 32)) * 32
