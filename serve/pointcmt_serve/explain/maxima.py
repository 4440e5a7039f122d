"""What an exported file says of its network's maxima over points, checked."""

from dataclasses import dataclass
from typing import Any

from pointcmt.errors import InputError

POINTS = "points"


@dataclass(frozen=True)
class Maximum:
    """A maximum over points.

    A *set* is "points", the cloud, or an earlier farthest-point step, which stands for the points
    that it chose.

    Attributes:
        values: the tensor that is reduced: (B, n, C) of a whole cloud, with C before n perhaps; or
            (B * M, k, C) or (B, M, k, C) of groups.
        kept: the tensor of the maxima behind bias and activation, (..., C); zero was clamped.
        axis: the one that is reduced.
        index: the tensor (B, M, k) of the rows of each group; None for a whole cloud.
        rows: the set that the rows belong to.
        centres: the set of the groups' centres; None for a whole cloud.
    """

    values: str
    kept: str
    axis: int
    index: str | None
    rows: str
    centres: str | None


@dataclass(frozen=True)
class Maxima:
    """All of them, in order, and which set each farthest-point step samples."""

    each: tuple[Maximum, ...]
    samples: dict[str, str]

    @property
    def tensors(self) -> list[str]:
        """The names of all tensors that tell who won."""
        told = [name for one in self.each for name in (one.values, one.kept, one.index)]
        return [*dict.fromkeys(name for name in (*told, *self.samples) if name is not None)]

    @property
    def last(self) -> Maximum | None:
        """The last maximum over a whole cloud, if there is one."""
        return next((one for one in reversed(self.each) if one.centres is None), None)


def check_maxima(told: Any, where: str) -> Maxima | None:
    """Return what a file's metadata says, or None where it says nothing.

    Raises:
        InputError: it is of another form; the message begins with `where`.
    """
    if told is None:
        return None
    try:
        each = tuple(Maximum(**one) for one in told["maxima"])
        samples = dict(told["samples"])
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{where}: does not describe maxima ({error})") from error
    names = [name for one in each for name in (one.values, one.kept, one.rows)]
    names += [name for one in each for name in (one.index, one.centres) if name is not None]
    names += [*samples, *samples.values()]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{where}: a tensor's name is no text")
    if not all(type(one.axis) is int and 1 <= one.axis <= 2 for one in each):
        raise InputError(f"{where}: an axis is not 1 or 2")
    known = [POINTS]
    for name, source in samples.items():
        if source not in known:
            raise InputError(f"{where}: {name} samples {source}, which no earlier step chose")
        known.append(name)
    if not {one.rows for one in each} <= set(known):
        raise InputError(f"{where}: a maximum is over rows that no step chose")
    return Maxima(each, samples)
