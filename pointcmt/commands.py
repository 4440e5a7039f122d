"""Where the commands start, and what they share: errors as one sentence and a non-zero exit."""

import functools
import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import click

from pointcmt import __version__
from pointcmt.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def start(module: str, extra: str) -> None:
    """Run the `main` of a module; a package that is not installed is named, with its extra."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when OpenMP is loaded, with torch
    try:
        importlib.import_module(module).main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pointcmt"):
            raise
        sys.exit(
            f"Error: this command needs {error.name}, which is not installed; "
            f"install it with: pip install 'pointcmt[{extra}]'"
        )


train = partial(start, "pointcmt_training.cli", "train")
data = partial(start, "pointcmt.data.cli", "train")
import_ = partial(start, "pointcmt.importers.cli", "train")
export = partial(start, "pointcmt_export.cli", "export")
classify = partial(start, "pointcmt_serve.commands.classify", "serve")
segment = partial(start, "pointcmt_serve.commands.segment", "serve")
serve = partial(start, "pointcmt_serve.commands.serve", "server")


def version_option(function: Callable[P, R]) -> Callable[P, R]:
    """Give a click command the option `--version`."""
    return click.version_option(__version__, message="%(prog)s %(version)s")(function)


def command_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn an `InputError` of a click command into `Error: <sentence>` and exit status 1."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            raise click.ClickException(str(error)) from error

    return wrapped
