"""Options that the commands share."""

import click

from pointcmt_serve.artefact import PRECISIONS
from pointcmt_serve.engines import ENGINES
from pointcmt_serve.engines.device import WORDS

engine_option = click.option(
    "--engine",
    default="onnxruntime",
    show_default=True,
    type=click.Choice(list(ENGINES)),
    help="What runs the network: " + "; ".join(f"{name} {e.note}" for name, e in ENGINES.items()),
)
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Arithmetic of the exported file to take  [that of model.onnx].",
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="|".join(WORDS), help="Where it runs."
)
