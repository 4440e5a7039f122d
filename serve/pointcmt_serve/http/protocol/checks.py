"""What a request may ask for, however it came."""

from dataclasses import dataclass
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.http.protocol.names import OUTPUTS, SCORES

LARGEST = 2**40  # size in a shape
_LONGEST = 2**64 - 1  # microseconds


@dataclass(frozen=True)
class WantedOutput:
    """An output that a client asks for.

    Attributes:
        name: one of `OUTPUTS`.
        binary: whether it is wanted as bytes behind the JSON.
        classes: how many best classes are wanted in place of all scores; 0 for the scores.
    """

    name: str
    binary: bool = False
    classes: int = 0


def checked_shape(shape: list[int], channels: int, clouds: int) -> tuple[int, int, int]:
    """Return the shape (B, N, C) that `shape`, [N, C] or [B, N, C], means.

    Raises:
        InputError: it is neither, no array is as large, or there are more than `clouds` clouds.
    """
    if any(not 0 <= size <= LARGEST for size in shape):
        raise InputError(f"points has shape {shape}; a size lies between 0 and {LARGEST}")
    if len(shape) not in (2, 3) or shape[-1] != channels:
        raise InputError(
            f"points has shape {shape}; send [N, {channels}] for one cloud or "
            f"[B, N, {channels}] for many"
        )
    batch, points = (1, *shape[:-1])[-2:]
    if batch > clouds:
        raise InputError(f"points has {batch} clouds; a request may have {clouds}")
    return batch, points, channels


def checked_timeout(microseconds: Any) -> float | None:
    """Return the seconds that the parameter `timeout`, in microseconds, stands for.

    Raises:
        InputError: it is no positive number, or above all that a clock counts.
    """
    if microseconds is None or microseconds == 0:
        return None
    if not isinstance(microseconds, int | float) or isinstance(microseconds, bool):
        raise InputError(f"the parameter timeout is {microseconds!r}, not microseconds")
    if not microseconds > 0:
        raise InputError(f"the parameter timeout is {microseconds!r}, not above 0")
    if microseconds > _LONGEST:
        raise InputError(f"the parameter timeout is above {_LONGEST} microseconds")
    return microseconds / 1e6


def checked_up(up: Any) -> str | None:
    """Return the parameter `up`, unless it cannot be one.

    Raises:
        InputError: it is no text.
    """
    if up is not None and not isinstance(up, str):
        raise InputError(f"the parameter up is {up!r}, no axis such as 'y'")
    return up


def checked_count(outputs: int) -> None:
    """Refuse to give outputs many times over.

    Raises:
        InputError: more are asked for than there are.
    """
    if outputs > len(OUTPUTS):
        raise InputError(f"the request asks for {outputs} outputs; there are {len(OUTPUTS)}")


def wanted_output(name: str, parameters: dict[str, Any], binary: bool = False) -> WantedOutput:
    """Return the output that a client asks for by name and parameters.

    Raises:
        InputError: there is no such output, or it cannot be given so.
    """
    if name not in OUTPUTS:
        raise InputError(f"there is no output {name!r}; ask for {', '.join(OUTPUTS)}")
    classes = parameters.get("classification") or 0
    if type(classes) is not int or classes < 0:
        raise InputError(f"output {name} has classification {classes!r}, no number of classes")
    if classes and name not in SCORES:
        raise InputError(f"output {name} is no score; ask {' or '.join(SCORES)} for classes")
    return WantedOutput(name, parameters.get("binary_data", binary) is True, classes)
