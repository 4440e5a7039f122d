"""The indices that a host-sampled graph takes beside the points, by the native library."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointcmt import native
from pointcmt.errors import InputError

POINTS = "points"
Step = Mapping[str, Any]


class Op(NamedTuple):
    """An op of `pointcmt.native`: the coordinates it reads and its numbers."""

    compute: Callable[..., NDArray[np.int64]]
    sets: tuple[str, ...]
    numbers: tuple[str, ...]


OPS = {
    "farthest_point_sample": Op(native.farthest_point_sample, ("xyz",), ("m",)),
    "ball_query": Op(native.ball_query, ("xyz", "centers"), ("radius", "k")),
    "knn": Op(native.knn, ("query", "points"), ("k",)),
}


def check_steps(steps: Any, where: str) -> tuple[Step, ...]:
    """Return the steps that an artefact's metadata lists, after checking that they make sense.

    A step names the graph's `input`, the `op` that computes it, and the op's arguments: numbers,
    and for each array the set of coordinates it reads. A set is "points", or an earlier
    farthest-point step's input, which stands for the points that step chose.

    Raises:
        InputError: the steps are of another form, name an unknown op or a set that no earlier
            step made; the message begins with `where`.
    """
    known = {POINTS}
    if not isinstance(steps, list):
        raise InputError(f"{where}: is no list of steps")
    for step in steps:
        if not isinstance(step, dict) or not isinstance(step.get("input"), str):
            raise InputError(f"{where}: {step!r} is no step that computes an input")
        _check_arguments(step, known, f"{where}: {step['input']}")
        if step["op"] == "farthest_point_sample":
            known.add(step["input"])
    return tuple(steps)


def _check_arguments(step: Step, known: set[str], where: str) -> None:
    op = OPS.get(str(step.get("op")))
    if op is None:
        raise InputError(f"{where}: this version knows no op {step.get('op')!r}")
    odd = set(step) ^ {"input", "op", *op.sets, *op.numbers}
    odd |= {name for name in op.numbers if type(step.get(name)) not in (int, float)}
    odd |= {name for name in op.sets if not isinstance(step.get(name), str)}
    if odd:
        raise InputError(f"{where}: {min(odd)!r} is missing, of the wrong type or one too many")
    unmade = [step[name] for name in op.sets if step[name] not in known]
    if unmade:
        raise InputError(f"{where}: reads {unmade[0]!r}, which no earlier step chose")


def host_indices(
    steps: Sequence[Step], clouds: NDArray[np.float32], threads: int | None = None
) -> dict[str, NDArray[np.int64]]:
    """Compute every step for a batch.

    Args:
        steps: as `check_steps` returns them.
        clouds: (B, N, C), prepared as the network wants them; x, y and z are read.
        threads: see `pointcmt.native`.

    Returns:
        The indices, int64, by the name of the graph's input.
    """
    sets: dict[str, NDArray[np.float32]] = {POINTS: np.ascontiguousarray(clouds[..., :3])}
    indices: dict[str, NDArray[np.int64]] = {}
    for step in steps:
        op = OPS[step["op"]]
        arrays = {name: sets[step[name]] for name in op.sets}
        found = op.compute(**arrays, **{name: step[name] for name in op.numbers}, threads=threads)
        indices[step["input"]] = found
        if step["op"] == "farthest_point_sample":
            chosen = np.take_along_axis(arrays["xyz"], found[..., None], axis=1)  # (B, m, 3)
            sets[step["input"]] = chosen
    return indices
