"""TensorRT 10.4 to 11 and TensorRT-RTX behind one door."""

import importlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pointcmt.errors import InputError

Kind = Literal["trt", "trt-rtx"]
MODULES: dict[Kind, tuple[str, ...]] = {
    "trt": ("tensorrt",),
    "trt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
NAMES: dict[Kind, str] = {"trt": "TensorRT", "trt-rtx": "TensorRT-RTX"}
OLDEST = (10, 4)
MOST_ERRORS = 100  # that a logger keeps


@dataclass(frozen=True)
class Vendor:
    """A TensorRT library.

    Attributes:
        kind: which of the two.
        api: its Python module.
    """

    kind: Kind
    api: Any

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{NAMES[self.kind]} {self.api.__version__}"

    def logger(self) -> Any:
        """Return a logger whose `first_error` gives, and forgets, the errors it was told."""
        api = self.api

        class Log(api.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                api.ILogger.__init__(self)
                self._errors: deque[str] = deque(maxlen=MOST_ERRORS)

            def log(self, severity: Any, message: str) -> None:
                if int(severity) <= int(api.ILogger.Severity.ERROR):
                    self._errors.append(message)

            def first_error(self, otherwise: str) -> str:
                told = first_error(list(self._errors), otherwise)
                self._errors.clear()
                return told

        return Log()

    def start(self, name: Literal["Builder", "Runtime"], log: Any) -> Any:
        """Return a new object of the library.

        Raises:
            InputError: the library cannot run here, as with a driver that is too old for it.
        """
        try:
            return getattr(self.api, name)(log)
        except (TypeError, RuntimeError) as error:  # how the bindings report a missing driver
            reason = log.first_error(str(error))
            raise InputError(f"{self.title} cannot be started here ({reason})") from error


def load_vendor(kind: Kind, extra: str | None = None) -> Vendor:
    """Import the library.

    Args:
        kind: which of the two.
        extra: what to install where it is missing; by default the extra that builds engines too.

    Raises:
        InputError: it is not installed, cannot be loaded, or is too old.
    """
    reasons = []
    for name in MODULES[kind]:
        try:
            vendor = Vendor(kind, importlib.import_module(name))
        except ImportError as error:  # a missing module, or a missing library of it
            reasons.append(str(error))
            continue
        _require_version(vendor)
        return vendor
    raise InputError(
        f"{NAMES[kind]} is missing ({reasons[-1]}); "
        f"install it with: pip install 'pointcmt[{extra or kind}]'"
    )


def _require_version(vendor: Vendor) -> None:
    version = tuple(int(part) for part in str(vendor.api.__version__).split(".")[:2])
    if vendor.kind == "trt" and version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise InputError(f"{vendor.title} is too old; version {wanted} or newer is needed")


def first_error(errors: Sequence[str], otherwise: str) -> str:
    """Return the first of a logger's messages in one line."""
    return " ".join(errors[0].split())[:300] if errors else otherwise
