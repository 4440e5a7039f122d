"""Options that the commands share."""

from functools import partial

import click

from pointcmt_serve.artefact import PRECISIONS
from pointcmt_serve.engines import ENGINES
from pointcmt_serve.engines.device import WORDS

engine_choice = partial(
    click.option,
    "--engine",
    type=click.Choice(list(ENGINES)),
    help="What runs the network: " + "; ".join(f"{name} {e.note}" for name, e in ENGINES.items()),
)
engine_option = engine_choice(default="onnxruntime", show_default=True)
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Arithmetic of the exported file to take  [that of model.onnx].",
)
device_choice = partial(click.option, "--device", metavar="|".join(WORDS), help="Where it runs.")
device_option = device_choice(default="auto", show_default=True)
