"""Options that the commands share."""

import click

from pointcmt_serve.engines import ENGINES
from pointcmt_serve.engines.device import WORDS

engine_option = click.option(
    "--engine",
    default="onnxruntime",
    show_default=True,
    type=click.Choice(list(ENGINES)),
    help="What runs the network: " + "; ".join(f"{name} {e.note}" for name, e in ENGINES.items()),
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="|".join(WORDS), help="Where it runs."
)
