"""The indices that a host-sampled graph takes beside the points, by kernels on the GPU.

They are those of `host_indices` to the last tie: both order the same float32 distances.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pointcmt import op_arguments
from pointcmt.kernels import calls, driver
from pointcmt.kernels.calls import Call
from pointcmt_serve.host_indices import OPS, POINTS, Step

Shape = tuple[int, ...]
Counts = Mapping[str, int]  # how many points each set of coordinates has


@dataclass(frozen=True)
class Work:
    """A launch for one batch.

    Attributes:
        call: the launch.
        reads: names of the arrays that it reads: "points", or what earlier work makes.
        makes: the name of the array that it makes.
        shape: of what it makes.
        kind: of what it makes: "int64" for an index input of the graph, "float32" for coordinates.
    """

    call: Call
    reads: tuple[str, ...]
    makes: str
    shape: Shape
    kind: Literal["int64", "float32"] = "int64"

    @property
    def size(self) -> int:
        """The bytes of what it makes."""
        return int(np.prod(self.shape)) * np.dtype(self.kind).itemsize


def plan_work(steps: Sequence[Step], clouds: Shape) -> tuple[Work, ...]:
    """Return the launches, in order, that compute every step for a batch.

    Args:
        steps: as `host_indices.check_steps` returns them.
        clouds: the shape (B, N, C) of the points; x, y and z are read.

    Raises:
        ValueError, TypeError: a step asks for what clouds of this shape do not have.
    """
    batch, points, channels = clouds
    counts, arrays, work = {POINTS: points}, {POINTS: POINTS}, list[Work]()

    def keep(name: str, call: Call, *reads: str) -> None:
        """Make the coordinates of a set, as dense rows of three."""
        arrays[name] = f"{name} xyz"
        work.append(Work(call, reads, arrays[name], (batch, counts[name], 3), "float32"))

    if steps and channels != 3:
        keep(POINTS, calls.gather_points(batch, points, channels), POINTS)
    for step in steps:
        call, *sizes = _CALLS[step["op"]](batch, counts, step)
        reads = tuple(arrays[step[name]] for name in OPS[step["op"]].sets)
        work.append(Work(call, reads, step["input"], (batch, *sizes)))
        if step["op"] == "farthest_point_sample":
            name, source = step["input"], step["xyz"]
            counts[name] = step["m"]
            gather = calls.gather_points(batch, counts[source], 3, step["m"])
            keep(name, gather, arrays[source], name)
    return tuple(work)


def load_kernels(steps: Sequence[Step], clouds: Shape, gpu: int) -> None:
    """Compile what `plan_work` launches, so that the first batch need not wait for it.

    Raises:
        RuntimeError: the compiler is missing, or the GPU is none that it knows.
        ValueError, TypeError: see `plan_work`.
    """
    for work in plan_work(steps, clouds):
        driver.load(work.call.how, gpu)


def _sampling(batch: int, counts: Counts, step: Step) -> tuple[Any, ...]:
    points, m = counts[step["xyz"]], step["m"]
    op_arguments.farthest_point_sample(_like(batch, points), m)
    return calls.farthest_point_sample(batch, points, m), m


def _balls(batch: int, counts: Counts, step: Step) -> tuple[Any, ...]:
    points, centers = counts[step["xyz"]], counts[step["centers"]]
    radius, k = step["radius"], step["k"]
    op_arguments.ball_query(_like(batch, points), _like(batch, centers), radius, k)
    return calls.ball_query(batch, points, centers, radius, k), centers, k


def _neighbours(batch: int, counts: Counts, step: Step) -> tuple[Any, ...]:
    queries, points, k = counts[step["query"]], counts[step["points"]], step["k"]
    op_arguments.knn(_like(batch, queries), _like(batch, points), k)
    return calls.knn(batch, points, queries, 3, k), queries, k


def _like(batch: int, points: int) -> NDArray[np.float32]:
    """A stand-in for coordinates (B, N, 3), which takes no memory."""
    return np.broadcast_to(np.float32(0), (batch, points, 3))


# By the op: its launch, and the sizes of its result behind the batch.
_CALLS: dict[str, Callable[[int, Counts, Step], tuple[Any, ...]]] = {
    "farthest_point_sample": _sampling,
    "ball_query": _balls,
    "knn": _neighbours,
}
