"""Numbers that callers give: whole ones, in a range."""

import operator

from pointcmt.errors import InputError


def require_count(name: str, value: int, least: int, most: int | None = None) -> None:
    """Raise an `InputError` unless `value` is a whole number from `least` to `most`."""
    try:
        whole = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} is {value!r}, no whole number") from error
    if whole < least or (most is not None and whole > most):
        told = f"{least} or more" if most is None else f"{least} to {most}"
        raise InputError(f"{name} is {value}; ask for {told}")
