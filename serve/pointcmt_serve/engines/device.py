"""Where a network runs, as the caller writes it."""

import re
from dataclasses import dataclass
from typing import Literal

from pointcmt.errors import InputError

WORDS = ("auto", "cpu", "cuda", "cuda:N")
_FORM = re.compile(r"(auto|cpu|cuda)(?::(\d{1,3}))?")


@dataclass(frozen=True)
class Device:
    """A device.

    Attributes:
        kind: "cpu", "cuda", or "auto" for what the engine prefers.
        index: which GPU, from 0.
    """

    kind: Literal["auto", "cpu", "cuda"] = "auto"
    index: int = 0

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.index else self.kind


def parse_device(text: str) -> Device:
    """Read "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: it is none of these.
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None or (found[2] and found[1] != "cuda"):
        raise InputError(f"unknown device {text!r}; use {', '.join(WORDS[:-1])} or {WORDS[-1]}")
    kind: Literal["auto", "cpu", "cuda"] = found[1]  # type: ignore[assignment]
    return Device(kind, int(found[2] or 0))
