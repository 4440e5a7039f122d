"""`python -m pointcmt.ops`: which backend serves each op here, each proved and timed.

Without torch it says what serves numpy arrays, and ends with the extra that brings torch.
"""

import importlib.util

import click

from pointcmt import native
from pointcmt.commands import start

if importlib.util.find_spec("torch") is None:
    found = native.instruction_set()
    serving = f"the compiled library ({found})" if found else "numpy; the library was not built"
    click.echo(f"pointcmt.native, on numpy arrays: {serving}")
start("pointcmt.ops.selftest", "train")
