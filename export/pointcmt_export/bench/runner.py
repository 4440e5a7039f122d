"""What an opened engine is: three steps, timed together and apart."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Clouds = NDArray[np.float32]


class CannotRunError(Exception):
    """The engine cannot run this target on this machine; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What an engine is opened with.

    Attributes:
        target: a model folder, or an exported folder.
        threads: how many threads one call may use on the CPU.
        device: "cpu" or "cuda".
        allow: classes of one's own that a model folder may name.
    """

    target: Path
    threads: int
    device: str
    allow: tuple[str, ...] = ()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Runner:
    """An opened engine; a call is `fetch(infer(stage(clouds)))`.

    Attributes:
        infer: computes the logits of staged clouds and returns when they are there.
        stage: brings clouds (B, N, 3) from host memory to where the engine wants them.
        fetch: brings the logits (B, C) back to host memory.
    """

    infer: Callable[[Any], Any]
    stage: Callable[[Clouds], Any] = _same
    fetch: Callable[[Any], NDArray[np.float32]] = _same

    @property
    def stages(self) -> bool:
        """Whether computing can be timed apart from copies."""
        return self.stage is not _same


class Engine(NamedTuple):
    """How an engine is opened, the file a target must hold for it, and if one target is enough."""

    open: Callable[[Setup], Runner]
    needs: str
    once: bool = False


def module(name: str, extra: str) -> Any:
    """Import a package that an engine needs.

    Raises:
        CannotRunError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CannotRunError(
            f"{name} is not installed; install it with: pip install 'pointcmt[{extra}]'"
        ) from error
