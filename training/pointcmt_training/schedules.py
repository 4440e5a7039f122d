"""How a learning rate, or the momentum of batch norm, goes from its start: data of a recipe.

Each value follows from where training stands, so that a resumed run needs no state of its own.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationInfo

from pointcmt.errors import InputError
from pointcmt_training.section import Count, Section

Factor = Annotated[float, Field(gt=0, le=1)]
IMPROVED = 1e-4  # relative fall of the loss that counts, as in PyTorch's ReduceLROnPlateau


@dataclass(frozen=True)
class Decay(Section):
    """What all schedules have.

    Attributes:
        kind: which schedule.
        per: "epoch", one value for each, or "step", a value anew for each step.
        floor: the lowest value.
    """

    kind: str = ""
    per: Literal["epoch", "step"] = "epoch"
    floor: Annotated[float, Field(ge=0)] = 0.0

    def value(self, start: float, passed: float, epochs: int, losses: Sequence[float]) -> float:
        """Return the value.

        Args:
            start: value at the start.
            passed: epochs that are done, with the part of the running one that is.
            epochs: of the whole stage.
            losses: the mean loss of each epoch that is done.
        """
        place = passed if self.per == "step" else math.floor(passed)
        return max(self.floor, self._value(start, place, epochs, losses))

    def _value(self, start: float, place: float, epochs: int, losses: Sequence[float]) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Decay):
    """Stays at its start."""

    kind: Literal["constant"] = "constant"

    def _value(self, start: float, place: float, epochs: int, losses: Sequence[float]) -> float:
        return start


@dataclass(frozen=True)
class Cosine(Decay):
    """Falls to `floor` along half a cosine (Loshchilov and Hutter, SGDR, ICLR 2017)."""

    kind: Literal["cosine"] = "cosine"

    def _value(self, start: float, place: float, epochs: int, losses: Sequence[float]) -> float:
        return _cosine(start, self.floor, place / epochs)


@dataclass(frozen=True)
class Restarts(Decay):
    """A cosine that starts again and again, with warm restarts (SGDR).

    Attributes:
        first: epochs of the first cycle.
        growth: each cycle is so many times as long as the one before.
    """

    kind: Literal["restarts"] = "restarts"
    first: Count = 10
    growth: Count = 2

    def _value(self, start: float, place: float, epochs: int, losses: Sequence[float]) -> float:
        length = self.first
        while place >= length:
            place, length = place - length, length * self.growth
        return _cosine(start, self.floor, place / length)


@dataclass(frozen=True)
class Steps(Decay):
    """Is multiplied by a factor every so many epochs.

    Attributes:
        every: epochs between two falls.
        factor: of a fall.
    """

    kind: Literal["steps"] = "steps"
    every: Count = 20
    factor: Factor = 0.5

    def _value(self, start: float, place: float, epochs: int, losses: Sequence[float]) -> float:
        return start * self.factor ** math.floor(place / self.every)


@dataclass(frozen=True)
class Plateau(Decay):
    """Is multiplied by a factor when the training loss has not fallen for some epochs.

    Attributes:
        factor: of a fall.
        patience: epochs without a better loss that are borne.
    """

    kind: Literal["plateau"] = "plateau"
    factor: Factor = 0.5
    patience: Annotated[int, Field(ge=0)] = 10

    def _value(self, start: float, place: float, epochs: int, losses: Sequence[float]) -> float:
        value, best, borne = start, math.inf, 0
        for loss in losses:
            better = loss < best * (1 - IMPROVED)
            best, borne = (loss, 0) if better else (best, borne + 1)
            if borne > self.patience:
                value, borne = max(self.floor, value * self.factor), 0
        return value


def _cosine(start: float, floor: float, share: float) -> float:
    return floor + (start - floor) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: Mapping[str, type[Decay]] = {
    "cosine": Cosine,
    "restarts": Restarts,
    "steps": Steps,
    "plateau": Plateau,
    "constant": Constant,
}
"""The kinds of a recipe's `schedule:`; the fields of each are its keys."""


def read_schedule(value: Any, _: ValidationInfo) -> Decay:
    """Read a recipe's `schedule:`, a mapping with its `kind`, or the kind alone."""
    tree = {"kind": value} if isinstance(value, str) else value
    if not isinstance(tree, dict):
        raise InputError("must be a mapping with a kind, such as {kind: steps, every: 20}")
    kind = tree.get("kind", Cosine.kind)
    if kind not in SCHEDULES:
        raise InputError(f"kind must be one of {', '.join(SCHEDULES)}")
    return _adapter(kind).validate_json(json.dumps(tree))


@lru_cache
def _adapter(kind: str) -> TypeAdapter[Decay]:
    return TypeAdapter(SCHEDULES[kind])
