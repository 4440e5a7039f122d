"""What every command of the project shares: errors as one sentence and a non-zero exit."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from pointcmt.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def command_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn an `InputError` of a click command into `Error: <sentence>` and exit status 1."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            raise click.ClickException(str(error)) from error

    return wrapped
